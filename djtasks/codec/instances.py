"""Model instances: stored as model, primary key and database, fetched again when they are read.

Nothing here imports models at module level: the codec is imported before the apps are ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djtasks.exceptions import DecodeError, EncodeError, InstanceGone

if TYPE_CHECKING:
    from django.db.models import Model

__all__ = ["read_instance", "write_instance"]


def write_instance(instance: Model) -> list[Any]:
    """Return ``[label, primary key, database alias]`` of a saved instance.

    Raises:
        EncodeError: it has not been saved, so that no worker could find it.
    """
    from django.db import router

    if instance.pk is None or instance._state.adding:
        raise EncodeError(
            f"a {instance._meta.label} that has not been saved, which a worker cannot fetch: "
            "save it first"
        )
    # Where it would be saved: what was read from a replica is fetched from the primary, which is
    # the only one that surely has it when the worker looks.
    alias = router.db_for_write(type(instance), instance=instance)
    return [instance._meta.label_lower, instance.pk, alias]


def read_instance(stored: list[Any]) -> Model:
    """Fetch the instance that ``write_instance()`` described.

    Raises:
        InstanceGone: there is no such row any more.
        DecodeError: there is no such model or database alias in this process.
    """
    from django.apps import apps
    from django.core.exceptions import ObjectDoesNotExist
    from django.db import connections

    label, pk, alias = stored
    try:
        model = apps.get_model(label)
    except LookupError as error:
        raise DecodeError(
            f"The argument is an instance of {label!r}, a model that is not installed here: "
            "add its app to INSTALLED_APPS of the worker."
        ) from error
    if alias not in connections:
        raise DecodeError(
            f"The argument is a {label} of the database {alias!r}, which is not in DATABASES of "
            "this process: add it there."
        )
    try:
        # The base manager: a default manager that hides rows must not hide an argument.
        instance: Model = model._base_manager.using(alias).get(pk=pk)
    except ObjectDoesNotExist:
        raise InstanceGone(model._meta.label, pk, alias) from None
    return instance
