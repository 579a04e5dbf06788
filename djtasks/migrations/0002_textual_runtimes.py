"""Run times of the activity as ``json``: pages read them as texts, which ``jsonb`` is slow at."""

from __future__ import annotations

from django.db import migrations

from djtasks.fields import TextualJSONField


class Migration(migrations.Migration):
    """Rewrites a table of some thousands of rows: those of its counts."""

    dependencies = [("djtasks", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="activity",
            name="runtimes",
            field=TextualJSONField(
                default=dict,
                help_text="How many ran how long: a count for each class of run times.",
                verbose_name="run times",
            ),
        ),
    ]
