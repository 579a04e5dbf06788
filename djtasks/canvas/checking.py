"""What a signature may be made of, and what is said of anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def name_of(task: Any) -> str:
    """The name of a task, which may be given by its name. Raises :class:`TypeError`."""
    name = task if isinstance(task, str) else getattr(task, "name", None)
    if not isinstance(name, str):
        raise TypeError(
            f"A signature is made of a task, the name of one, or a dict that was a signature, not "
            f"of {task!r}."
        )
    return name


def check_dict(d: Any, kinds: Mapping[str, Any]) -> None:
    """Raise :class:`TypeError` unless ``d`` has what the dict of a signature has."""
    if not isinstance(d, Mapping) or not isinstance(d.get("task"), str):
        raise TypeError(f"The dict of a signature has the name of a task as its 'task', not {d!r}.")
    kind = d.get("subtask_type")
    if kind and kind not in kinds:
        raise TypeError(
            f"The dict of a signature has the subtask_type {kind!r}, which nobody has registered; "
            f"there are {', '.join(sorted(kinds))}."
        )


def parts_of(d: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    """The keyword arguments in the dict of a chain or what else has parts, under ``name``.

    Raises :class:`TypeError` if they are not there.
    """
    kwargs = d.get("kwargs")
    if not isinstance(kwargs, Mapping) or name not in kwargs:
        raise TypeError(f"The dict of a {kind} has its {name!r} in 'kwargs', not {d!r}.")
    return kwargs


def arguments(args: Any) -> tuple[Any, ...]:
    """The positional arguments of a call. Raises :class:`TypeError` for a text, or no iterable."""
    if args is None:
        return ()
    if isinstance(args, (str, bytes, Mapping)) or not isinstance(args, Iterable):
        raise TypeError(
            f"args must be a list or tuple, not {type(args).__name__}. For a single argument write "
            f"args=(value,), with the comma."
        )
    return tuple(args)


def keywords(kwargs: Any) -> dict[str, Any]:
    """The keyword arguments of a call. Raises :class:`TypeError` unless they are a mapping."""
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs must be a mapping, not {type(kwargs).__name__}.")
    return dict(kwargs or {})


def check_link(link: Any) -> None:
    """Raise :class:`TypeError` unless a link is a signature, or a dict that was one."""
    if not isinstance(link, Mapping) or not isinstance(link.get("task"), str):
        raise TypeError(f"A link is a signature, such as other_task.s(), not {link!r}.")
