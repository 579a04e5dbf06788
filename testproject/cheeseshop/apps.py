"""The demo's application."""

from __future__ import annotations

from django.apps import AppConfig


class CheeseShopConfig(AppConfig):
    name = "testproject.cheeseshop"
    verbose_name = "Cheese shop"
