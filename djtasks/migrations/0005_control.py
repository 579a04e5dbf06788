import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("djtasks", "0004_unique"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="abort",
            field=models.TextField(
                blank=True,
                help_text="What it is asked to end as by itself: ABORTED or REVOKED.",
                null=True,
                verbose_name="abort",
            ),
        ),
        migrations.CreateModel(
            name="Question",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, verbose_name="id")),
                ("worker_id", models.IntegerField(verbose_name="worker")),
                ("command", models.TextField(verbose_name="command")),
                (
                    "arguments",
                    models.TextField(
                        db_default="{}", help_text="As JSON.", verbose_name="arguments"
                    ),
                ),
                (
                    "wants_answer",
                    models.BooleanField(db_default=True, verbose_name="wants an answer"),
                ),
                (
                    "answer",
                    models.TextField(
                        blank=True, help_text="As JSON.", null=True, verbose_name="answer"
                    ),
                ),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        verbose_name="asked at",
                    ),
                ),
            ],
            options={
                "verbose_name": "question to a worker",
                "verbose_name_plural": "questions to workers",
            },
        ),
        migrations.CreateModel(
            name="TaskSetting",
            fields=[
                (
                    "name",
                    models.TextField(
                        help_text="The registered name of the task.",
                        primary_key=True,
                        serialize=False,
                        verbose_name="name",
                    ),
                ),
                (
                    "paused_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Empty while it is run.",
                        null=True,
                        verbose_name="paused at",
                    ),
                ),
                (
                    "reason",
                    models.TextField(
                        blank=True,
                        db_default="",
                        help_text="Why it is paused.",
                        verbose_name="reason",
                    ),
                ),
                (
                    "time_limit",
                    models.FloatField(
                        blank=True,
                        help_text=(
                            "Seconds after which it is killed, instead of the limit in its code."
                        ),
                        null=True,
                        verbose_name="time limit",
                    ),
                ),
                (
                    "soft_time_limit",
                    models.FloatField(
                        blank=True,
                        help_text=(
                            "Seconds after which it is interrupted, "
                            "instead of the limit in its code."
                        ),
                        null=True,
                        verbose_name="soft time limit",
                    ),
                ),
                (
                    "rate_limit",
                    models.TextField(
                        blank=True,
                        help_text="As in 100/m, instead of the limit in its code; 0: none.",
                        null=True,
                        verbose_name="rate limit",
                    ),
                ),
                (
                    "changed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        verbose_name="changed at",
                    ),
                ),
            ],
            options={
                "verbose_name": "setting of a task",
                "verbose_name_plural": "settings of tasks",
                "permissions": (("pause_task", "Can pause and resume tasks"),),
            },
        ),
        migrations.AlterField(
            model_name="message",
            name="state",
            field=models.SmallIntegerField(
                choices=[(0, "ready"), (1, "scheduled"), (2, "waiting"), (4, "held")],
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
                condition=models.Q(("state", 4)),
                fields=["task", "seq"],
                name="djtasks_message_held",
            ),
        ),
        migrations.AddIndex(
            model_name="question",
            index=models.Index(
                condition=models.Q(("answer__isnull", True)),
                fields=["worker_id", "id"],
                name="djtasks_question_open",
            ),
        ),
        migrations.AddIndex(
            model_name="tasksetting",
            index=models.Index(
                condition=models.Q(("paused_at__isnull", False)),
                fields=["name"],
                name="djtasks_tasksetting_paused",
            ),
        ),
    ]
