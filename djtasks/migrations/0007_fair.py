from django.db import migrations, models

from djtasks.migrations._postgres import RunPostgres, statements


class Migration(migrations.Migration):
    dependencies = [
        ("djtasks", "0006_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="fair",
            field=models.TextField(
                blank=True,
                db_collation="C",
                help_text="Whose tasks it takes turns with others as: the line that it stands in.",
                null=True,
                verbose_name="fair key",
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="state",
            field=models.SmallIntegerField(
                choices=[
                    (0, "ready"),
                    (1, "scheduled"),
                    (2, "waiting"),
                    (3, "blocked"),
                    (4, "held"),
                    (5, "ready"),
                ],
                db_default=0,
                help_text=(
                    "Ready to run, scheduled for a time, waiting for other tasks, or paused."
                ),
                verbose_name="state",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("state", 5)),
                fields=["queue", "fair", "rank", "seq"],
                name="djtasks_message_line",
            ),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("gate__isnull", True), ("state", 3), _negated=True),
                    models.Q(("fair__isnull", True), ("state", 5), _negated=True),
                ),
                name="djtasks_message_findable",
            ),
        ),
        RunPostgres(
            statements("0007_feed"),
            # What stands in lines is ready, for code that knows none.
            "UPDATE djtasks_message SET state = 0 WHERE state = 5;"
            + statements("0001_feed").replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
        ),
    ]
