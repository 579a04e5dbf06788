"""The tasks of this process, by name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings

from djtasks.conf import conf
from djtasks.exceptions import DuplicateTaskNameWarning, NotRegistered

if TYPE_CHECKING:
    from djtasks.task import Task


class TaskRegistry(dict[str, "Task[..., Any]"]):
    """Every registered task by its name; ``registry["no.such.task"]`` raises ``NotRegistered``."""

    NotRegistered = NotRegistered

    def __init__(self) -> None:
        super().__init__()
        self.duplicates: dict[str, list[str]] = {}
        """Names that more than one callable claimed, with the callables, the winner first."""

    def __missing__(self, name: str) -> Task[..., Any]:
        raise NotRegistered(name)

    def register(self, task: Task[..., Any]) -> None:
        """Add a task, or replace the one of that name."""
        if not task.name:
            raise ValueError(f"{task!r} has no name: set its attribute `name`.")
        for attribute in ("__name__", "__qualname__"):
            # Like a function's, for functools.wraps() and for people.
            task.__dict__.setdefault(attribute, getattr(type(task), attribute))
        # What is wrong with its keys is wrong now, not at its first call.
        _ = task.limits
        self[task.name] = task

    @property
    def has_rates(self) -> bool:
        """Whether a task of this process has a ``rate_limit``."""
        return any(task.limits.rate is not None for task in self.values())

    @property
    def has_lines(self) -> bool:
        """Whether a task of this process has a ``fair_key``."""
        return any(task.limits.takes_turns for task in self.values())

    def unregister(self, name: str | Task[..., Any]) -> None:
        """Remove a task by name or itself; ``NotRegistered`` if it is not there."""
        name = name if isinstance(name, str) else name.name
        try:
            del self[name]
        except KeyError:
            raise NotRegistered(name) from None

    def note_duplicate(self, name: str, *, kept: Any, dropped: Any, consequence: str) -> None:
        """Remember that two callables claimed a name, and warn once for that name.

        ``consequence`` says what calls under the name now reach. The system check
        ``djtasks.E004`` reports what is remembered here.
        """
        claims = self.duplicates.get(name)
        if claims is None:
            self.duplicates[name] = [qualified_name(kept), qualified_name(dropped)]
            warnings.warn(
                f"Two callables are registered as the task {name!r}: {qualified_name(kept)} and "
                f"{qualified_name(dropped)}. {consequence} Give one of them another name=.",
                DuplicateTaskNameWarning,
                stacklevel=_outside(),
            )
        elif qualified_name(dropped) not in claims:
            claims.append(qualified_name(dropped))


def qualified_name(thing: Any) -> str:
    """``module.qualname`` of a function, a class, or the class of anything else."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def _outside() -> int:
    """The stack level of the first caller outside this package, for warnings."""
    import sys

    level = 2
    frame = sys._getframe(level)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("djtasks."):
        frame = frame.f_back
        level += 1
    return level


registry = TaskRegistry()
"""The one registry of this process."""


_awaiting: list[Task[..., Any]] = []
"""Tasks that were declared before the settings may be read."""


def adopt(task: Task[..., Any]) -> None:
    """Apply ``TASK_ANNOTATIONS`` to a new task, as soon as the settings can be read."""
    if settings.configured:
        annotate(task, conf.TASK_ANNOTATIONS)
    else:
        _awaiting.append(task)


def adopt_awaiting() -> None:
    """Apply ``TASK_ANNOTATIONS`` to the tasks that were declared before the settings were."""
    while _awaiting:
        annotate(_awaiting.pop(0), conf.TASK_ANNOTATIONS)


def annotate(task: Task[..., Any], annotations: Any) -> None:
    """Set on a task's class the attributes that are given for its name or for ``"*"``.

    ``annotations`` is a mapping of names to attributes, an object with a method
    ``annotate(task)``, or a list of such. An attribute whose name begins with ``@`` is a
    decorator for the method of that name, as in Celery.
    """
    if not annotations:
        return
    cls = type(task)
    for source in annotations if isinstance(annotations, (list, tuple)) else (annotations,):
        if isinstance(source, Mapping):
            changes = [source.get("*"), source.get(task.name)]
        else:
            changes = [source.annotate(task)]
        for change in changes:
            for name, value in (change or {}).items():
                if name.startswith("@"):
                    setattr(cls, name[1:], value(getattr(cls, name[1:])))
                else:
                    setattr(cls, name, value)
    cls._refresh()
    task.__dict__.pop("limits", None)
    _ = task.limits
