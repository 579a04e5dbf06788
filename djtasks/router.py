"""A database router for queues that live in a database of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djtasks.conf import conf

if TYPE_CHECKING:
    from django.db.models import Model

APP_LABEL = "djtasks"


class DjtasksRouter:
    """Sends the tables of djtasks, and nothing else, to the database ``DJTASKS["DATABASE"]``.

    Add ``"djtasks.router.DjtasksRouter"`` to ``DATABASE_ROUTERS`` if that is not ``default``.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """The queue's database for our models, no opinion on others."""
        return conf.DATABASE if model._meta.app_label == APP_LABEL else None

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """The queue's database for our models, no opinion on others."""
        return conf.DATABASE if model._meta.app_label == APP_LABEL else None

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool | None:
        """Our models relate to no others; no opinion on the rest."""
        ours = {obj1._meta.app_label, obj2._meta.app_label} == {APP_LABEL}
        return True if ours else None

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool | None:
        """Our tables only in the queue's database; no opinion on others."""
        return db == conf.DATABASE if app_label == APP_LABEL else None
