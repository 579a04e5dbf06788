"""The settings as others may see them: plain values, and nothing that is a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.views.debug import get_default_exception_reporter_filter

from djtasks.conf import SETTINGS, conf


def table(*, with_defaults: bool = False) -> dict[str, Any]:
    """The settings in Celery's lower case, those that somebody has set or all of them.

    What Django hides on its error pages, by its name, is hidden here too.
    """
    given = getattr(settings, "DJTASKS", None)
    names = [name for name in SETTINGS if with_defaults or (given and name in given)]
    clean = get_default_exception_reporter_filter().cleanse_setting
    return {name.lower(): _plain(clean(name, getattr(conf, name))) for name in names}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return repr(value)
