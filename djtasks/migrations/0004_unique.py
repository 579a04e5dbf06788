import django.db.models.functions.datetime
from django.db import migrations, models

from djtasks.migrations._postgres import RunPostgres, statements


class Migration(migrations.Migration):
    dependencies = [("djtasks", "0003_periodictask")]

    operations = [
        migrations.CreateModel(
            name="UniqueKey",
            fields=[
                (
                    "key",
                    models.TextField(
                        help_text="The name of the task, and what is to be unique.",
                        primary_key=True,
                        serialize=False,
                        verbose_name="key",
                    ),
                ),
                (
                    "task_id",
                    models.UUIDField(help_text="The task that took it last.", verbose_name="task"),
                ),
                (
                    "mode",
                    models.SmallIntegerField(
                        choices=[
                            (0, "for a period only"),
                            (1, "while it is queued"),
                            (2, "until it has ended"),
                        ],
                        verbose_name="unique",
                    ),
                ),
                (
                    "until",
                    models.DateTimeField(
                        blank=True,
                        help_text="The end of its period, if it has one.",
                        null=True,
                        verbose_name="until",
                    ),
                ),
                (
                    "taken_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        verbose_name="taken at",
                    ),
                ),
            ],
            options={
                "verbose_name": "unique key",
                "verbose_name_plural": "unique keys",
                "db_table": "djtasks_unique",
            },
        ),
        RunPostgres(
            """
            -- Room for a second version of a row: a key that is taken again touches no index.
            ALTER TABLE djtasks_unique SET (
                fillfactor = 50,
                autovacuum_vacuum_scale_factor = 0,
                autovacuum_vacuum_threshold = 5000,
                autovacuum_vacuum_cost_delay = 0
            )
            """,
        ),
        RunPostgres(statements("0004_take_unique"), "DROP FUNCTION IF EXISTS djtasks_take_unique"),
    ]
