"""Options of a call: what they become in the message, and what is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils import timezone as django_timezone

from djtasks import Task, app, shared_task
from djtasks.calling import Defaults, build
from djtasks.exceptions import EncodeError
from djtasks.execution.request import Context, pop, push
from djtasks.ids import to_uuid
from djtasks.options import CALL_OPTIONS, IGNORED_CALL_OPTIONS
from djtasks.queue.message import NewMessage
from djtasks.testing import capture_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add

pytestmark = pytest.mark.usefixtures("own_registry")

SOON = timedelta(seconds=5)


def with_setting(**values: Any) -> Any:
    return override_settings(DJTASKS={**settings.DJTASKS, **values})


def message_of(task: Task[..., Any] = add, **options: Any) -> NewMessage:
    return build(Defaults(task.name, task, (1, 2), {}, options), (1, 2), {}, options)


def in_seconds(moment: datetime | None) -> float:
    assert moment is not None
    return (moment - datetime.now(UTC)).total_seconds()


def test_a_plain_call_has_nothing_but_its_arguments() -> None:
    message = message_of()
    assert message == NewMessage(message.id, add.name, "[[1,2],{}]", "celery")
    assert message.id.version == 7


def test_a_countdown_is_seconds_from_now_and_wins_over_eta() -> None:
    eta = datetime.now(UTC) + timedelta(days=1)
    assert in_seconds(message_of(countdown=60).eta) == pytest.approx(60, abs=5)
    assert in_seconds(message_of(countdown=timedelta(minutes=1)).eta) == pytest.approx(60, abs=5)
    assert in_seconds(message_of(countdown=60, eta=eta).eta) == pytest.approx(60, abs=5)
    assert message_of(countdown=0).eta is None
    assert message_of(countdown=None).eta is None
    assert message_of(countdown=0, eta=eta).eta == eta


def test_an_eta_is_a_moment_in_any_zone_or_its_iso_text() -> None:
    eta = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert message_of(eta=eta).eta == eta
    assert message_of(eta="2030-01-01T12:00:00+02:00").eta == eta


def test_a_naive_eta_is_in_the_current_time_zone_or_that_of_the_setting() -> None:
    naive = datetime(2030, 7, 1, 12)  # noqa: DTZ001 - the point of the test
    with django_timezone.override(ZoneInfo("America/New_York")):
        assert message_of(eta=naive).eta == datetime(2030, 7, 1, 16, tzinfo=UTC)
        with with_setting(TIMEZONE="Europe/Berlin"):
            assert message_of(eta=naive).eta == datetime(2030, 7, 1, 10, tzinfo=UTC)
    with override_settings(USE_TZ=False, TIME_ZONE="Asia/Tokyo"):
        assert message_of(eta=naive).eta == datetime(2030, 7, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"countdown": "60"}, TypeError, "countdown must be a number of seconds"),
        ({"countdown": True}, TypeError, "countdown must be a number"),
        ({"countdown": float("nan")}, ValueError, "countdown must be a finite"),
        ({"countdown": 1e15}, ValueError, "outside of the calendar"),
        ({"eta": 60}, TypeError, "eta must be a datetime"),
        ({"eta": "tomorrow"}, ValueError, "ISO 8601"),
        ({"expires": "soon"}, ValueError, "expires='soon' is not"),
        ({"expires": [1]}, TypeError, "expires must be a number"),
        ({"priority": "high"}, TypeError, "priority must be a whole number"),
        ({"priority": True}, TypeError, "priority must be a whole number"),
        ({"time_limit": "5"}, TypeError, "time_limit must be a number"),
        ({"soft_time_limit": 0}, ValueError, "soft_time_limit must be above 0"),
        ({"headers": [1]}, TypeError, "headers must be a mapping"),
        ({"headers": {"a": object()}}, EncodeError, "headers"),
        ({"headers": {"a": datetime(2030, 1, 1, tzinfo=UTC)}}, EncodeError, "headers"),
        ({"headers": {"a": "\x00"}}, EncodeError, "headers"),
        ({"task_id": ""}, ValueError, "task_id is empty"),
        ({"task_id": 5}, TypeError, "task_id must be a text"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_it(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        message_of(**options)


def test_a_wrong_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="enqueue must be one of"):
        add.apply_async((1, 2), enqueue="later")  # type: ignore[arg-type]


def test_an_expiry_is_a_number_a_timedelta_a_moment_or_its_text() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert in_seconds(message_of(expires=60).expires) == pytest.approx(60, abs=5)
    assert in_seconds(message_of(expires=timedelta(minutes=1)).expires) == pytest.approx(60, abs=5)
    assert message_of(expires=moment).expires == moment
    assert message_of(expires=moment.isoformat()).expires == moment


def test_the_expiry_of_the_task_is_the_default_which_none_takes_away() -> None:
    @shared_task(expires=60)
    def work(*args: Any) -> None: ...

    assert in_seconds(message_of(work).expires) == pytest.approx(60, abs=5)
    assert in_seconds(message_of(work, expires=600).expires) == pytest.approx(600, abs=5)
    assert message_of(work, expires=None).expires is None


def test_an_expiry_in_the_past_is_kept_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert message_of(expires=past).expires == past
    assert in_seconds(message_of(expires=-5).expires) < 0
    assert "expired before it was enqueued" in caplog.text


def test_a_task_id_may_be_any_text() -> None:
    message = message_of(task_id="order-42")
    assert (message.id, message.custom_id) == to_uuid("order-42")
    assert message.custom_id == "order-42"
    own = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert message_of(task_id=own).id == UUID(own)
    assert message_of(task_id=own).custom_id is None


def test_what_the_worker_needs_travels_as_json() -> None:
    message = message_of(
        headers={"tenant": 5},
        time_limit=60,
        soft_time_limit=30.5,
        ignore_result=True,
        shadow="shown",
        argsrepr="(***)",
        kwargsrepr="{***}",
        link=add.s(1),
        link_error=[add.s(2)],
        group_id="g",
        group_index=3,
        retries=2,
    )
    assert message.retries == 2
    assert message.options is not None
    links = [message.options.pop(option) for option in ("link", "link_error")]
    assert [[one["args"] for one in link] for link in links] == [[[1]], [[2]]]
    assert message.options == {
        "headers": {"tenant": 5},
        "timelimit": [60, 30.5],
        "ignore_result": True,
        "shadow": "shown",
        "argsrepr": "(***)",
        "kwargsrepr": "{***}",
        "group": "g",
        "group_index": 3,
    }
    assert message_of(time_limit=60).options == {"timelimit": [60, None]}
    assert message_of(headers=None, ignore_result=None, link=None).options is None


def test_a_text_to_show_is_made_storable() -> None:
    assert message_of(argsrepr="a\x00b").options == {"argsrepr": "a\\x00b"}


def test_the_shadow_name_of_a_task_is_used_unless_the_call_has_one() -> None:
    def shadow_name(self: Any, args: Any, kwargs: Any, options: Any) -> str:
        return f"{self.name}:{args[0]}"

    @shared_task(name="shadowed", shadow_name=shadow_name)
    def work(*args: Any) -> None: ...

    assert message_of(work).options == {"shadow": "shadowed:1"}
    assert message_of(work, shadow="own").options == {"shadow": "own"}


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("count_down", "countdown"),
        ("queues", "queue"),
        ("prioritty", "priority"),
        ("expire", "expires"),
        ("link_errors", "link_error"),
        ("timelimit", "time_limit"),
        ("ignore_results", "ignore_result"),
    ],
)
def test_an_unknown_option_is_an_error_that_names_the_one_meant(wrong: str, meant: str) -> None:
    options: dict[str, Any] = {wrong: 1}
    for call in (
        lambda: add.apply_async((1, 2), **options),
        lambda: add.s(1, 2).apply_async(**options),
        lambda: add.s(1, 2).set(**options).delay(),
        lambda: app.send_task("x", **options),
        lambda: add.apply((1, 2), **options),
    ):
        with pytest.raises(TypeError, match=rf"unknown option '{wrong}'. Did you mean '{meant}'"):
            call()


def test_an_option_like_no_other_is_an_error_that_lists_them() -> None:
    with pytest.raises(TypeError, match="Options of a call are: add_to_parent, argsrepr"):
        add.apply_async((1, 2), zzz=1)  # type: ignore[call-arg]


def test_options_of_brokers_are_taken_and_ignored() -> None:
    options: dict[str, Any] = dict.fromkeys(IGNORED_CALL_OPTIONS, "x")
    with capture_tasks() as calls:
        add.apply_async((1, 2), **options)
    assert len(calls) == 1
    assert message_of(**options).options is None
    assert CALL_OPTIONS.issuperset(IGNORED_CALL_OPTIONS)
    assert all(IGNORED_CALL_OPTIONS.values())


def running(task: Task[..., Any] = add, **request: Any) -> Any:
    return push(task, Context(**{"called_directly": False, **request}))


def test_a_call_inside_a_task_knows_its_parent_and_root() -> None:
    root, parent = "01890a5d-ac96-774b-bcce-b302099a8057", "order-42"
    assert message_of().parent_id is message_of().root_id is None
    token = running(id=parent, root_id=root)
    try:
        message = message_of()
        direct = push(add, Context(id="direct", called_directly=True))
        assert message_of().parent_id == message.parent_id
        pop(direct)
        given = message_of(root_id="r", parent_id="p")
    finally:
        pop(token)
    assert message.parent_id == to_uuid(parent)[0]
    assert message.root_id == UUID(root)
    assert (given.root_id, given.parent_id) == (to_uuid("r")[0], to_uuid("p")[0])


def test_a_parent_without_a_root_is_the_root() -> None:
    token = running(id="first")
    try:
        message = message_of()
    finally:
        pop(token)
    assert message.root_id == message.parent_id == to_uuid("first")[0]


def test_the_priority_of_the_parent_is_inherited_if_that_is_set() -> None:
    @shared_task(priority=1)
    def own(*args: Any) -> None: ...

    token = running(id="p", delivery_info_values={"priority": 7})
    try:
        assert message_of().priority == 0
        with with_setting(TASK_INHERIT_PARENT_PRIORITY=True):
            assert message_of().priority == 7
            assert message_of(own).priority == 1
            assert message_of(priority=2).priority == 2
    finally:
        pop(token)


def test_calls_of_a_task_are_its_children_unless_the_trail_is_off() -> None:
    @shared_task(trail=False)
    def silent() -> None: ...

    cases: list[tuple[Task[..., Any], dict[str, Any], int]] = [
        (add, {}, 1),
        (add, {"add_to_parent": False}, 0),
        (silent, {}, 0),
    ]
    for task, options, expected in cases:
        token = running(task, id="p")
        try:
            with capture_tasks() as calls:
                add.apply_async((1, 2), **options)
            children = task.request.children
        finally:
            pop(token)
        assert children == [call.result for call in calls][:expected]


def test_the_result_of_a_call_whose_result_is_ignored_is_none_at_once() -> None:
    @shared_task(ignore_result=True)
    def work() -> None: ...

    with capture_tasks(), with_setting(TASK_IGNORE_RESULT=False):
        assert work.delay().get() is None
        assert add.apply_async((1, 2), ignore_result=True).get() is None
        assert not work.apply_async(ignore_result=False).ignored
        assert not add.delay(1, 2).ignored
