"""The Django application: checks and the tasks of every installed app are loaded here."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DjtasksConfig(AppConfig):
    """djtasks as an installed application."""

    name = "djtasks"
    verbose_name = _("Background tasks")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register checks and types, and import every installed app's ``tasks`` module."""
        from djtasks import checks, codec
        from djtasks.app import app
        from djtasks.conf import conf

        checks.register()
        codec.load_registered_codecs()
        app.on_configure.emit(app)
        app.autodiscover_tasks()
        app.on_after_configure.emit(app, source=conf)
        app.on_after_finalize.emit(app)
