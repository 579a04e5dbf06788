"""Routes: the forms of TASK_ROUTES, and which queue and priority a call gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.test import override_settings

from djtasks import Task, shared_task
from djtasks.calling import Defaults, build
from djtasks.exceptions import QueueNotFound
from djtasks.queue.message import NewMessage
from djtasks.routing import MapRoute, prepare, routes_by_name
from tests.own_registry import own_registry  # noqa: F401

pytestmark = pytest.mark.usefixtures("own_registry")


def with_setting(**values: Any) -> Any:
    return override_settings(DJTASKS={**settings.DJTASKS, **values})


def message_of(task: Task[..., Any] | None, name: str = "", **options: Any) -> NewMessage:
    name = name or (task.name if task else "")
    return build(Defaults(name, task, (1,), {"k": 2}, options), (1,), {"k": 2}, options)


def queue_of(name: str, routes: object) -> str:
    with with_setting(TASK_ROUTES=routes):
        return message_of(None, name).queue


def test_without_routes_the_queue_is_the_default_one() -> None:
    assert message_of(None, "x").queue == "celery"
    with with_setting(TASK_DEFAULT_QUEUE="main"):
        assert message_of(None, "x").queue == "main"


def test_a_route_may_be_a_mapping_or_the_name_of_a_queue() -> None:
    routes = {"a": {"queue": "one", "routing_key": "ignored"}, "b": "two"}
    assert [queue_of(name, routes) for name in ("a", "b", "c")] == ["one", "two", "celery"]


def test_exact_names_come_before_patterns_and_patterns_in_their_order() -> None:
    routes = {
        "shop.*": "shop",
        re.compile(r".*\.mail$"): "mail",
        "*.other": "other",
        "shop.tasks.exact": "exact",
    }
    names = ["shop.tasks.exact", "shop.tasks.mail", "crm.mail", "crm.other", "crm.none"]
    assert [queue_of(n, routes) for n in names] == ["exact", "shop", "mail", "other", "celery"]


def test_routes_may_be_a_list_of_pairs() -> None:
    routes = [("shop.*", {"queue": "shop"}), ("crm.*", "crm")]
    assert queue_of("shop.a", routes) == "shop"
    assert queue_of("crm.a", [routes, {"crm.*": "never"}]) == "crm"


def asked_router(
    name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **kw: Any
) -> Any:
    """By dotted path in a test below."""
    if name == "asked":
        return {"queue": f"q{args[0]}{kwargs['k']}", "priority": 4}
    return None


class OldRouter:
    def route_for_task(self, task: str, args: Any = None, kwargs: Any = None) -> Any:
        return "old" if task == "elder" else None


@pytest.mark.parametrize(
    "routes", [asked_router, [asked_router], "tests.test_routing.asked_router", [{}, asked_router]]
)
def test_a_router_is_a_function_that_sees_the_call(routes: object) -> None:
    with with_setting(TASK_ROUTES=routes):
        message = message_of(None, "asked")
    assert (message.queue, message.priority) == ("q12", 4)
    assert queue_of("unasked", routes) == "celery"


@pytest.mark.parametrize("routes", ["tests.test_routing.OldRouter", OldRouter(), [OldRouter()]])
def test_a_router_class_with_route_for_task_works(routes: object) -> None:
    with with_setting(TASK_ROUTES=routes if isinstance(routes, (str, list)) else [routes]):
        assert message_of(None, "elder").queue == "old"


def test_the_first_answer_wins() -> None:
    assert queue_of("asked", [lambda *a, **k: None, {"asked": "first"}, asked_router]) == "first"


def test_a_router_gets_options_and_task() -> None:
    seen: list[Any] = []

    def router(name: str, args: Any, kwargs: Any, options: Mapping[str, Any], task: Any) -> None:
        seen.append((options.get("headers"), task))

    @shared_task
    def work(*args: Any, **kwargs: Any) -> None: ...

    with with_setting(TASK_ROUTES=router):
        message_of(work, headers={"a": 1})
    assert seen == [({"a": 1}, work)]


def test_what_a_router_raises_reaches_the_caller() -> None:
    def router(*args: Any, **kwargs: Any) -> None:
        raise LookupError("no route")

    with pytest.raises(LookupError, match="no route"):
        queue_of("x", router)


def test_a_call_wins_over_its_task_which_wins_over_routes_and_default() -> None:
    @shared_task(queue="task", priority=1)
    def own(*args: Any, **kwargs: Any) -> None: ...

    @shared_task
    def none(*args: Any, **kwargs: Any) -> None: ...

    routes = {"*": {"queue": "route", "priority": 2}}
    with with_setting(TASK_ROUTES=routes, TASK_DEFAULT_PRIORITY=3):
        call, task, route = (
            message_of(own, queue="call", priority=9),
            message_of(own),
            message_of(none),
        )
    assert [(m.queue, m.priority) for m in (call, task, route)] == [
        ("call", 9),
        ("task", 1),
        ("route", 2),
    ]
    with with_setting(TASK_DEFAULT_PRIORITY=3):
        assert message_of(none).priority == 3


def test_none_as_queue_or_priority_is_not_given() -> None:
    @shared_task(queue="task", priority=1)
    def own(*args: Any, **kwargs: Any) -> None: ...

    message = message_of(own, queue=None, priority=None)
    assert (message.queue, message.priority) == ("task", 1)


def test_a_queue_may_be_an_object_with_a_name() -> None:
    class Queue(NamedTuple):
        name: str

    assert message_of(None, "x", queue=Queue("objects")).queue == "objects"


@pytest.mark.parametrize("queue", [5, b"mail", "a\x00b", ["mail"]])
def test_a_queue_that_is_no_text_is_an_error_that_names_the_task(queue: object) -> None:
    with pytest.raises(TypeError, match="x: queue must be a non-empty text"):
        message_of(None, "x", queue=queue)


def test_a_missing_queue_is_an_error_only_if_it_must_exist() -> None:
    with with_setting(TASK_QUEUES=["mail"]):
        assert message_of(None, "x", queue="new").queue == "new"
    with with_setting(TASK_QUEUES=["mail"], TASK_CREATE_MISSING_QUEUES=False):
        assert message_of(None, "x", queue="mail").queue == "mail"
        assert message_of(None, "x").queue == "celery"
        with pytest.raises(QueueNotFound, match="'new' is not in TASK_QUEUES"):
            message_of(None, "x", queue="new")


def test_changes_of_the_setting_are_seen_in_place_too() -> None:
    routes: dict[str, Any] = {"a": "one"}
    with with_setting(TASK_ROUTES=routes):
        assert message_of(None, "b.x").queue == "celery"
        routes["b.*"] = "two"
        assert message_of(None, "b.x").queue == "two"
        settings.DJTASKS["TASK_ROUTES"] = {"b.x": "three"}
        assert message_of(None, "b.x").queue == "three"


def test_routes_by_name_only_are_told_from_those_that_see_the_call() -> None:
    assert routes_by_name()
    with with_setting(TASK_ROUTES=[{"a": "b"}, [("c.*", "d")]]):
        assert routes_by_name()
    with with_setting(TASK_ROUTES=[{"a": "b"}, asked_router]):
        assert not routes_by_name()


def test_what_is_no_route_is_an_error() -> None:
    with pytest.raises(TypeError, match="is no route"):
        prepare([42])
    with pytest.raises(ImportError):
        prepare("no.such.router")


def test_keys_that_match_no_task_are_found() -> None:
    routes = MapRoute({"a": "q", "gone": "q", "b.*": "q", "no.*": "q"})
    assert list(routes.unmatched(["a", "b.c"])) == ["gone", "no.*"]
