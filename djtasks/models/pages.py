"""What the admin shows that has no table of its own."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class NoRows(models.Manager[models.Model]):
    """Finds nothing, in a table that is not there: ``dumpdata`` asks every model for its rows."""

    def get_queryset(self) -> models.QuerySet[models.Model]:
        """None."""
        return super().get_queryset().none()


class TaskRecord(models.Model):
    """A task from its call to its end, whatever table it is in: what the task browser shows.

    It has no table and no rows of its own: :mod:`djtasks.browser` makes these from messages and
    results.
    """

    id = models.UUIDField(_("id"), primary_key=True, editable=False)

    objects = NoRows()

    class Meta:
        managed = False
        base_manager_name = "objects"
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        default_permissions = ("view", "delete")
        permissions = (
            ("retry_task", "Can retry tasks"),
            ("run_task", "Can run tasks now and run copies of them"),
            ("revoke_task", "Can revoke and terminate tasks"),
            ("move_task", "Can change the queue and the priority of tasks"),
        )

    def __str__(self) -> str:
        return str(self.id)


class Overview(models.Model):
    """The overview page, as something that the admin can list; it has no table."""

    objects = NoRows()

    class Meta:
        managed = False
        base_manager_name = "objects"
        # Translators: models are listed by name; this page is best the first of the five.
        verbose_name = _("overview")
        verbose_name_plural = _("overview")
        default_permissions = ("view",)
