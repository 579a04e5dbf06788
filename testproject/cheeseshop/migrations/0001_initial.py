"""The shop's books."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Cheese",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=60, unique=True)),
                ("country", models.CharField(max_length=30)),
                ("price", models.DecimalField(decimal_places=2, max_digits=6)),
                (
                    "cost",
                    models.DecimalField(
                        decimal_places=2, max_digits=6, null=True, verbose_name="dairy's price"
                    ),
                ),
                ("stock", models.PositiveIntegerField(verbose_name="portions on the shelf")),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Day",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("opened_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="Errand",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False, verbose_name="task id")),
                (
                    "day",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="errands",
                        to="cheeseshop.day",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("customer", models.CharField(max_length=60)),
                ("email", models.EmailField(max_length=254)),
                ("street", models.CharField(max_length=60)),
                ("town", models.CharField(max_length=40)),
                ("postcode", models.CharField(max_length=10)),
                ("express", models.BooleanField(default=False)),
                ("placed_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("packed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "tracking",
                    models.CharField(blank=True, max_length=20, verbose_name="tracking number"),
                ),
                (
                    "day",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="orders",
                        to="cheeseshop.day",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="Line",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("portions", models.PositiveIntegerField()),
                (
                    "cheese",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lines",
                        to="cheeseshop.cheese",
                    ),
                ),
                (
                    "order",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="lines",
                        to="cheeseshop.order",
                    ),
                ),
            ],
        ),
    ]
