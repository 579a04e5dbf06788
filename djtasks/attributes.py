"""The options of a task as its attributes, following the settings while they are not set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from djtasks.conf import conf
from djtasks.handlers import Handlers
from djtasks.options import TASK_OPTIONS, checked_task_option

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from djtasks.lanes import Scope
    from djtasks.options import EnqueueMode
    from djtasks.queue.uniqueness import OnConflict


class _Live:
    """A class attribute that is a setting, until a task sets it."""

    def __init__(self, setting: str) -> None:
        self.setting = setting

    def __get__(self, task: object, owner: type) -> Any:
        return getattr(conf, self.setting)


class _Following:
    """A class attribute that is another one, until a task or a setting sets it."""

    def __init__(self, setting: str, attribute: str) -> None:
        self.setting = setting
        self.attribute = attribute

    def __get__(self, task: object, owner: type) -> Any:
        own = getattr(conf, self.setting)
        return getattr(owner if task is None else task, self.attribute) if own is None else own


def is_live(value: object) -> bool:
    """Whether a class attribute is one that follows a setting."""
    return isinstance(value, (_Live, _Following))


def _live(name: str) -> Any:
    setting = TASK_OPTIONS[name].setting
    assert setting is not None
    return _Live(setting)


class Options(Handlers):
    """What can be said of a task: Celery's options, and ours, with their defaults.

    An option that follows a setting does so until a task or its class sets it; None unsets it.
    """

    name: str = ""
    bind: bool = False
    abstract: bool = True

    typing: bool = _live("typing")
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    retry_kwargs: Mapping[str, Any] = {}
    retry_backoff: bool | float = False
    retry_backoff_max: float = 600
    retry_jitter: bool = True
    max_retries: int | None = 3
    default_retry_delay: float = 180
    throws: tuple[type[BaseException], ...] = ()
    ignore_result: bool = _live("ignore_result")
    store_errors_even_if_ignored: bool = _live("store_errors_even_if_ignored")
    store_eager_result: bool = _live("store_eager_result")
    track_started: bool = _live("track_started")
    acks_late: bool = _live("acks_late")
    acks_on_failure_or_timeout: bool = _live("acks_on_failure_or_timeout")
    acks_on_failure: bool = cast(
        bool, _Following("TASK_ACKS_ON_FAILURE", "acks_on_failure_or_timeout")
    )
    acks_on_timeout: bool = cast(
        bool, _Following("TASK_ACKS_ON_TIMEOUT", "acks_on_failure_or_timeout")
    )
    reject_on_worker_lost: bool | None = _live("reject_on_worker_lost")
    retry_on_worker_lost: bool = _live("retry_on_worker_lost")
    time_limit: float | None = None
    soft_time_limit: float | None = None
    expires: float | timedelta | datetime | str | None = None
    queue: str | None = None
    priority: int | None = None
    resultrepr_maxsize: int = 1024
    trail: bool = True
    atomic: bool = False
    enqueue: EnqueueMode = _live("enqueue")
    max_deliveries: int = _live("max_deliveries")
    unique: bool | Literal["queued", "done"] | None = None
    unique_key: str | Callable[..., str] | None = None
    unique_for: float | timedelta | None = None
    unique_on_conflict: OnConflict = "existing"
    rate_limit: str | float | None = _live("rate_limit")
    rate_limit_scope: Scope = "global"
    concurrency_limit: int | None = None
    concurrency_key: str | Callable[..., str] | None = None
    order_key: str | Callable[..., str] | None = None
    fair_key: str | Callable[..., str] | None = None

    def option(self, name: str) -> Any:
        """The value of an option by its name, as the task or else the settings have it."""
        return getattr(self, name)

    @classmethod
    def _check_options(cls) -> None:
        """Check the options that this class sets itself; those that are None follow settings.

        Raises :class:`TypeError` for a value that the option cannot have.
        """
        for name, value in list(vars(cls).items()):
            if name not in TASK_OPTIONS or is_live(value) or isinstance(value, property):
                continue
            if value is not None:
                setattr(cls, name, checked_task_option(cls.__qualname__, name, value))
            elif is_live(vars(Options).get(name)):
                setattr(cls, name, vars(Options)[name])
