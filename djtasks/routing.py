"""Which queue a task goes to: the setting ``TASK_ROUTES``, with Celery's forms and precedence.

The queue of a call is the first of: the call's own ``queue``, the option ``queue`` of its task,
the first route that answers, ``TASK_DEFAULT_QUEUE``.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from django.utils.module_loading import import_string

from djtasks.conf import conf
from djtasks.exceptions import QueueNotFound

if TYPE_CHECKING:
    from djtasks.task import Task

Route = Mapping[str, Any]
Router = Callable[..., "Route | str | None"]


class MapRoute:
    """A mapping of task names and patterns to routes: exact names first, then patterns in order."""

    def __init__(self, routes: Mapping[Any, Any] | Sequence[tuple[Any, Any]]) -> None:
        pairs = routes.items() if isinstance(routes, Mapping) else routes
        self.exact: dict[str, Any] = {}
        self.patterns: list[tuple[re.Pattern[str], Any]] = []
        self.spelling: dict[re.Pattern[str], str] = {}
        for key, route in pairs:
            if isinstance(key, re.Pattern):
                self.patterns.append((key, route))
            elif "*" in key:
                pattern = re.compile(fnmatch.translate(key))
                self.spelling[pattern] = key
                self.patterns.append((pattern, route))
            else:
                self.exact[key] = route

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Route | None:
        """The route of a task, or None."""
        route = self.exact.get(name)
        if route is None:
            for pattern, candidate in self.patterns:
                if pattern.match(name):
                    route = candidate
                    break
        return None if route is None else _as_route(route)

    def unmatched(self, names: Sequence[str]) -> Iterator[str]:
        """The keys that match none of these task names, as text."""
        known = set(names)
        for key in self.exact:
            if key not in known:
                yield key
        for pattern, _ in self.patterns:
            if not any(pattern.match(name) for name in names):
                yield self.spelling.get(pattern, pattern.pattern)


def prepare(routes: Any) -> list[Router]:
    """The routers that a value of ``TASK_ROUTES`` stands for.

    It may be a mapping, a list of pairs, a function, the dotted path of a function or a router
    class, an object with ``route_for_task``, or a list of these. Raises :class:`ImportError` for
    a path that leads nowhere and :class:`TypeError` for anything else.
    """
    if not routes:
        return []
    if not isinstance(routes, (list, tuple)) or _are_pairs(routes):
        routes = [routes]
    return [_prepare_one(route) for route in routes]


def _prepare_one(route: Any) -> Router:
    if isinstance(route, str):
        route = import_string(route)
        if isinstance(route, type):
            route = route()
    if isinstance(route, Mapping):
        return MapRoute(route)
    if isinstance(route, (list, tuple)):
        return MapRoute(route if _are_pairs(route) else [(route[0], route[1])])
    if hasattr(route, "route_for_task"):
        router = route.route_for_task
        return lambda name, args, kwargs, options, task=None, **_: router(name, args, kwargs)
    if callable(route):
        return cast(Router, route)
    raise TypeError(
        f"TASK_ROUTES: {route!r} is no route. Use a mapping of task names to queues, a function, "
        f"or the dotted path of one."
    )


def _are_pairs(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(item, (list, tuple))
        and len(item) == 2
        and isinstance(item[0], (str, re.Pattern))
        for item in value
    )


def _as_route(route: Any) -> Route:
    return {"queue": route} if isinstance(route, str) else route


class _Prepared:
    """The routers of the value that ``TASK_ROUTES`` has now."""

    def __init__(self) -> None:
        self.source: Any = None
        self.size = 0
        self.routers: list[Router] = []

    def of(self, routes: Any) -> list[Router]:
        """The routers, made anew when the setting is another object or has grown."""
        size = len(routes) if isinstance(routes, (Mapping, list, tuple)) else 0
        if routes is not self.source or size != self.size:
            self.routers = prepare(routes)
            self.source, self.size = routes, size
        return self.routers


_prepared = _Prepared()


def route(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    task: Task[..., Any] | None,
) -> Route:
    """The first answer of ``TASK_ROUTES`` for a call, or an empty mapping.

    Only ``queue`` and ``priority`` of the answer are used. What a router function raises goes to
    the caller.
    """
    routes = conf.TASK_ROUTES
    if not routes:
        return {}
    for router in _prepared.of(routes):
        answer = router(name, args, kwargs, options, task=task)
        if answer is not None:
            return _as_route(answer)
    return {}


def routes_by_name() -> bool:
    """Whether the route of a task depends on nothing but its name."""
    routes = conf.TASK_ROUTES
    return not routes or all(isinstance(router, MapRoute) for router in _prepared.of(routes))


LONGEST_QUEUE_NAME = 255
"""Bytes; names travel in notifications and in an index, which both have limits."""


def queue_name(where: str, queue: Any) -> str:
    """The name of a queue given as text or as an object with a ``name``.

    Raises :class:`TypeError` for anything else, and :class:`QueueNotFound` for a queue that is
    not in ``TASK_QUEUES`` while ``TASK_CREATE_MISSING_QUEUES`` is False.
    """
    name = queue if isinstance(queue, str) else getattr(queue, "name", None)
    if not isinstance(name, str) or not name or "\x00" in name:
        raise TypeError(f"{where}: queue must be a non-empty text, not {queue!r}.")
    if len(name.encode()) > LONGEST_QUEUE_NAME:
        raise TypeError(
            f"{where}: the name of a queue has at most {LONGEST_QUEUE_NAME} bytes, and "
            f"{name[:40]!r}... has {len(name.encode())}."
        )
    if not conf.TASK_CREATE_MISSING_QUEUES:
        known = known_queues()
        if name not in known:
            raise QueueNotFound(
                f"{where}: the queue {name!r} is not in TASK_QUEUES ({', '.join(sorted(known))}), "
                f"and TASK_CREATE_MISSING_QUEUES is False."
            )
    return name


def known_queues() -> frozenset[str]:
    """The queues of ``TASK_QUEUES`` (a list of names or objects, or a mapping) and the default."""
    declared = conf.TASK_QUEUES or ()
    return frozenset(
        {queue if isinstance(queue, str) else queue.name for queue in declared}
        | {conf.TASK_DEFAULT_QUEUE}
    )
