"""Finding tasks: one list of all of them, by what is asked for, page by page."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from djtasks import chain, chord, group, shared_task
from djtasks.browser import sources
from djtasks.browser.find import Filter, Page, Record, SearchError, find
from djtasks.browser.places import Ids, Place
from djtasks.ids import new_id, to_uuid
from djtasks.models import Message, Payload, TaskResult
from djtasks.testing import run_tasks
from tests.admin_pages import a_worker, ended, failed, queued
from tests.testapp.replace_tasks import double, total
from tests.testapp.tasks import add, fail

pytestmark = pytest.mark.usefixtures("empty")

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes may pass between the import of a test and its turn."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", datetime.now(UTC))


MINUTE = timedelta(minutes=1)


@shared_task
def anything(*args: Any, **kwargs: Any) -> None:
    """A task that takes what it is given."""


def made_at(moment: datetime) -> UUID:
    """An id as it would have been made at this time."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | random.getrandbits(60))


def search(query: str = "", **options: Any) -> list[UUID]:
    return [record.id for record in find(Filter.parse(query), **options).records]


def all_pages(query: str, size: int) -> Iterator[Page]:
    cursor = None
    while True:
        page = find(Filter.parse(query), cursor=cursor, size=size)
        yield page
        cursor = page.next
        if cursor is None:
            return


@pytest.fixture
def small_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let limits be reached by as many rows as a test has."""
    monkeypatch.setattr(sources, "SCAN", 7)
    monkeypatch.setattr(sources, "FEW", 3)


# --- the order ---------------------------------------------------------------------------------


def test_there_is_nothing_in_empty_tables() -> None:
    page = find(Filter())
    assert (page.records, page.next, page.previous, page.searched_all) == ([], None, None, True)


def test_queued_and_ended_tasks_are_one_list_with_the_latest_first() -> None:
    first = ended(date_done=NOW - 4 * MINUTE)
    second = queued(id=made_at(NOW - 3 * MINUTE))
    third = queued(id=uuid4(), enqueued_at=NOW - 2 * MINUTE)
    fourth = failed(date_done=NOW - MINUTE)
    own, text = to_uuid("order-42")
    fifth = queued(id=own, custom_id=text, enqueued_at=NOW)
    assert search() == [one.pk for one in (fifth, fourth, third, second, first)]


def test_an_id_that_is_random_and_looks_like_one_of_ours_is_found_where_it_belongs() -> None:
    future, past = UUID("01ffffff-ffff-4fff-8fff-ffffffffffff"), UUID(int=1 << 64)
    for id in (future, past):
        queued(id=id, enqueued_at=NOW - 3 * MINUTE)
    later, earlier = queued(id=made_at(NOW - MINUTE)), queued(id=made_at(NOW - 9 * MINUTE))
    assert search() == [later.pk, future, past, earlier.pk]


def test_a_task_that_runs_again_under_its_id_is_there_once() -> None:
    id = made_at(NOW)
    ended(id=id)
    queued(id=id)
    (record,) = find(Filter()).records
    assert record.state == "READY"
    assert search("state:SUCCESS") == []


def everything() -> list[UUID]:
    """Tasks of all kinds, many at the same time, and their ids in the order of the list."""
    random.seed(42)
    ids = Ids.known()
    places = []
    for number in range(60):
        at = NOW - timedelta(seconds=number // 4)
        micros = round(at.timestamp() * 1_000_000)
        kind = number % 4
        if kind == 0:
            done = failed(date_done=at) if number % 8 else ended(date_done=at)
            places.append(Place(micros, done.pk))
        elif kind == 1:
            own = queued(id=made_at(at), enqueued_at=at, state=number % 3)
            places.append(ids.place(own.pk, micros))
        elif kind == 2:
            foreign = queued(id=uuid4(), enqueued_at=at, worker_id=7 if number % 8 == 2 else None)
            places.append(ids.place(foreign.pk, micros))
        else:
            done = ended(id=made_at(at), date_done=at, queue="mail")
            places.append(Place(micros, done.pk))
    return [place.id for place in sorted(places, reverse=True)]


QUERIES: dict[str, Callable[[Record], bool]] = {
    "": lambda record: True,
    "state:FAILURE": lambda record: record.state == "FAILURE",
    "state:READY": lambda record: record.state == "READY",
    "state:RUNNING": lambda record: record.state == "RUNNING",
    "state:SCHEDULED,WAITING,SUCCESS": lambda r: r.state in ("SCHEDULED", "WAITING", "SUCCESS"),
    "queue:mail": lambda record: record.queue == "mail",
    "queue:celery state:SUCCESS,FAILURE,READY": lambda r: (
        r.queue == "celery" and r.state in ("SUCCESS", "FAILURE", "READY")
    ),
    "task:add": lambda record: True,
    "exception:ValueError": lambda record: record.exception == "ValueError",
    "state:FAILURE task:add": lambda record: record.state == "FAILURE",
    "since:5s": lambda r: (r.date_done or r.enqueued_at or NOW) >= NOW - timedelta(seconds=5),
}


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize("query", QUERIES)
def test_the_pages_of_a_search_have_all_that_match_once_and_in_order(query: str, size: int) -> None:
    expected = everything()
    known = {record.id: record for record in find(Filter(), size=100).records}
    assert list(known) == expected
    if query.startswith("since"):
        # What was typed is back from the time of the search.
        query = f"since:{(NOW - timedelta(seconds=5)).isoformat()}"
        wanted = [id for id in expected if QUERIES["since:5s"](known[id])]
    else:
        wanted = [id for id in expected if QUERIES[query](known[id])]
    pages = list(all_pages(query, size))
    assert [record.id for page in pages for record in page.records] == wanted
    assert all(page.searched_all for page in pages)
    assert all(len(page.records) == size for page in pages[:-1])


@pytest.mark.usefixtures("small_scans")
@pytest.mark.parametrize(
    "query", [query for query in QUERIES if query not in ("since:5s", "state:RUNNING")]
)
def test_searching_further_finds_what_one_look_does_not(query: str) -> None:
    expected = everything()
    known = {record.id: record for record in find(Filter(), size=100).records}
    wanted = [id for id in expected if id in known and QUERIES[query](known[id])]
    found = [record.id for page in all_pages(query, 2) for record in page.records]
    assert [id for id in found if id in known] == wanted
    assert len(found) == len(set(found))


@pytest.mark.usefixtures("small_scans")
def test_a_page_says_when_it_has_not_looked_at_everything() -> None:
    for number in range(20):
        ended(queue="mail" if number == 0 else "post", date_done=NOW - (20 - number) * MINUTE)
    page = find(Filter.parse("queue:mail"))
    assert (page.records, page.searched_all, page.searched) == ([], False, 7)
    pages = list(all_pages("queue:mail", 10))
    assert [len(page.records) for page in pages] == [0, 0, 1]
    assert pages[-1].searched_all


def test_going_back_shows_the_same_pages() -> None:
    everything()
    pages = list(all_pages("", 7))
    assert pages[0].previous is None
    for before, page in pairwise(pages):
        assert page.previous is not None
        back = find(Filter(), cursor=page.previous, size=7, back=True)
        assert back.records == before.records
        assert back.next is not None
        assert find(Filter(), cursor=back.next, size=7).records == page.records


def test_back_from_what_is_newer_by_now_is_the_first_page() -> None:
    everything()
    page = find(Filter(), size=7)
    assert page.next is not None
    second = find(Filter(), cursor=page.next, size=7)
    queued(id=made_at(NOW + MINUTE))
    assert second.previous is not None
    back = find(Filter(), cursor=second.previous, size=9, back=True)
    assert back == find(Filter(), size=9)
    assert back.previous is None


@pytest.mark.parametrize("cursor", ["", "x", "1-2", "f" * 15 + "-" + "0" * 32, "-1-" + "0" * 32])
def test_a_cursor_that_is_none_is_an_error_for_people(cursor: str) -> None:
    with pytest.raises(SearchError, match="does not exist"):
        find(Filter(), cursor=cursor)


# --- what is asked for -------------------------------------------------------------------------


def test_states_are_those_that_people_see() -> None:
    worker = a_worker()
    by_state = {
        "READY": queued(),
        "SCHEDULED": queued(state=1, eta=NOW + MINUTE),
        "RETRY": queued(state=1, eta=NOW + MINUTE, retries=1),
        "WAITING": queued(state=2),
        "RUNNING": queued(worker_id=worker.pk, started_at=NOW),
        "SUCCESS": ended(),
        "FAILURE": failed(),
        "REVOKED": ended(state="REVOKED"),
        "REJECTED": ended(state="REJECTED"),
    }
    shown = {record.state: record.id for record in find(Filter()).records}
    assert shown == {state: one.pk for state, one in by_state.items()}
    for state, one in by_state.items():
        also = [by_state["RETRY"].pk] if state == "SCHEDULED" else []
        assert set(search(f"state:{state}")) == {one.pk, *also}
    assert set(search("state:failure,ready")) == {by_state[s].pk for s in ("FAILURE", "READY")}


def test_conditions_hold_together() -> None:
    wanted = failed(queue="mail", task="shop.pack", worker="one@a")
    failed(queue="post", task="shop.pack", worker="one@a")
    failed(queue="mail", task="shop.ship", worker="one@a")
    failed(queue="mail", task="shop.pack", worker="two@a")
    ended(queue="mail", task="shop.pack", worker="one@a")
    assert search("state:FAILURE queue:mail task:shop.pack worker:ONE@") == [wanted.pk]


def test_a_task_is_named_whole_or_by_its_last_part() -> None:
    long, short = ended("shop.tasks.pack"), queued("pack")
    ended("shop.tasks.unpack")
    assert set(search("task:pack")) == {long.pk, short.pk}
    assert search("task:shop.tasks.pack") == [long.pk]
    assert search("task:tasks.pack") == [long.pk]
    assert search("task:=pack") == [short.pk]
    assert len(search("PACK")) == 3
    assert search("unpack shop") == search("task:unpack")
    assert search("task:p_ck") == search("p%ck") == []


@pytest.mark.parametrize("prefix", ["state:FAILURE ", ""])
def test_failures_are_found_by_class_or_by_what_was_said(prefix: str) -> None:
    slow = failed("no answer in 3 s", exception="ReadTimeout")
    said = failed("Timeout of the shop")
    bare = failed(exception="x", task="nobody.knows")
    TaskResult.objects.filter(pk=bare.pk).update(exception=None, result="null")
    ended(result='"Timeout"')
    assert set(search(f"{prefix}error:timeout")) == {slow.pk, said.pk}
    assert search(f"{prefix}exception:ReadTimeout") == [slow.pk]
    assert search(f"{prefix}exception:Timeout") == []
    assert search(f"state:FAILURE {prefix}exception:ValueError") == [said.pk]
    assert search('state:FAILURE exception:""') == [bare.pk]
    assert search("state:FAILURE task:nobody.knows") == [bare.pk]


@pytest.mark.parametrize(("all_groups", "groups"), [(1, 50), (3, 50), (5, 50), (20, 2), (20, 50)])
def test_failures_are_found_however_many_ways_there_are(
    all_groups: int, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "ALL_GROUPS", all_groups)
    monkeypatch.setattr(sources, "GROUPS", groups)
    by_way = {
        (task, exception): failed(task=task, exception=exception).pk
        for task in ("shop.a", "shop.b", "shop.c", "shop.d")
        for exception in ("OSError", "KeyError", "ValueError")
    }
    for (task, exception), id in by_way.items():
        assert search(f"state:FAILURE task:={task} exception:={exception}") == [id]
        assert len(search(f"state:FAILURE task:{task}")) == 3
        assert len(search(f"state:FAILURE exception:{exception}")) == 4
    assert search("state:FAILURE task:e") == []


def test_a_task_that_waits_for_its_next_attempt_is_found_by_its_error() -> None:
    waiting = queued(state=1, retries=1, eta=NOW + MINUTE)
    said = '{"exc_type":"ReadTimeout","exc_message":["no answer"]}'
    ended(id=waiting.pk, state="RETRY", date_done=None, exception="ReadTimeout", result=said)
    queued(state=1, retries=1, eta=NOW + MINUTE)
    assert search("exception:ReadTimeout") == [waiting.pk]
    (record,) = find(Filter.parse("error:answer")).records
    assert (record.state, record.exception, record.error) == ("RETRY", "ReadTimeout", "no answer")


def test_retried_is_more_than_one_run_for_whatever_reason() -> None:
    again, lost = ended(retries=2), queued(deliveries=1)
    once = [queued().pk, ended().pk]
    assert set(search("retried:yes")) == {again.pk, lost.pk}
    assert set(search("retried:no")) == set(once)


def test_a_running_task_is_found_by_its_worker() -> None:
    one, two = a_worker(hostname="One@a"), a_worker(hostname="two@a")
    wanted = queued(worker_id=one.pk)
    queued(worker_id=two.pk)
    queued()
    done = ended(worker="One@a")
    assert set(search("worker:one@a")) == {wanted.pk, done.pk}
    assert search("worker:one@a state:RUNNING") == [wanted.pk]


def test_a_time_range_is_of_calls_and_ends() -> None:
    old = [queued(id=made_at(NOW - 90 * MINUTE), enqueued_at=NOW - 90 * MINUTE).pk]
    old.append(ended(date_done=NOW - 91 * MINUTE).pk)
    new = [ended(date_done=NOW - MINUTE).pk, queued(id=uuid4(), enqueued_at=NOW - 2 * MINUTE).pk]
    assert search("since:1h") == new
    assert search("until:1h") == old
    assert search("since:92m until:1h state:SUCCESS") == [old[1]]


@pytest.mark.parametrize("queue", ["celery", "mail"])
def test_few_are_found_among_many_others(queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SCAN", 20)
    monkeypatch.setattr(sources, "FEW", 10)
    few = [
        queued(id=made_at(NOW - 9 * MINUTE), queue=queue).pk,
        queued(id=made_at(NOW - 10 * MINUTE), queue=queue, worker_id=3).pk,
        failed(queue=queue, date_done=NOW - 11 * MINUTE).pk,
    ]
    for _ in range(50):
        queued(state=1, queue="other")
        ended(queue="other")
    assert search(f"state:READY,RUNNING queue:{queue}") == few[:2]
    assert search("state:READY,RUNNING") == few[:2]
    assert search("state:RUNNING") == few[1:2]
    assert search("state:FAILURE") == search("state:FAILURE task:add") == few[2:]


def test_what_workers_say_they_run_is_found_in_a_long_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "SCAN", 20)
    monkeypatch.setattr(sources, "FEW", 5)
    monkeypatch.setattr(sources, "HEAD", 5)
    head = queued(worker_id=7)
    for _ in range(30):
        queued()
    long = queued(worker_id=7)
    running = f'[{{"id": "{long.pk.hex}", "task": "a", "since": 1, "slot": 0, "pid": 1}}, 3, {{}}]'
    a_worker(running=running)
    a_worker(running="nonsense")
    assert set(search("state:RUNNING")) == {head.pk, long.pk}


# --- ids and workflows -------------------------------------------------------------------------


def test_a_task_is_found_by_its_id_or_the_beginning_of_it() -> None:
    one, done = queued(), ended(id=new_id())
    others = [queued(id=uuid4(), custom_id=None).pk, ended().pk]
    for task in (one, done):
        assert search(str(task.pk)) == search(task.pk.hex) == [task.pk]
    beginning = str(done.pk)[:8]
    assert set(search(beginning)) >= {done.pk}
    assert not set(search(beginning)) & set(others)
    assert search(f"{beginning} state:SUCCESS") == [done.pk]
    assert search(f"id:{others[1]} queue:none") == []


def test_a_task_is_found_by_the_id_that_its_caller_gave() -> None:
    result = add.apply_async((1, 2), task_id="order-42")
    assert search("id:order-42") == [result.key]
    run_tasks()
    assert search("id:order-42 state:SUCCESS") == [result.key]


def test_pages_by_id_have_every_task_once() -> None:
    ids = sorted((made_at(NOW) for _ in range(12)), reverse=True)
    for number, id in enumerate(ids):
        if number % 2:
            ended(id=id)
        else:
            queued(id=id)
    beginning = f"id:{str(ids[0])[:6]}"
    pages = list(all_pages(beginning, 5))
    assert [record.id for page in pages for record in page.records] == ids
    back = find(Filter.parse(beginning), cursor=pages[1].previous, size=5, back=True)
    assert [record.id for record in back.records] == ids[:5]


def test_a_workflow_is_found_by_its_root() -> None:
    chord(group(double.s(1), double.s(2)), chain(total.s(), double.s())).apply_async()
    queued()
    ids = set(Message.objects.exclude(root_id=None).values_list("id", flat=True))
    root = Message.objects.exclude(root_id=None).values_list("root_id", flat=True)[0]
    assert set(search(f"root:{root}")) == ids
    assert len(search(f"root:{root} state:WAITING")) == 2
    run_tasks()
    assert set(search(f"root:{root} state:SUCCESS")) >= ids
    pages = list(all_pages(f"root:{root}", 2))
    assert {record.id for page in pages for record in page.records} >= ids


# --- arguments ---------------------------------------------------------------------------------


def test_tasks_are_found_by_their_arguments() -> None:
    wanted = anything.apply_async((1, "two"), {"order_id": 42, "name": 'a "b"', "flag": True})
    anything.apply_async((42, "order_id"), {"order_id": 421, "deep": {"order_id": 42}})
    for query in (
        "kwargs.order_id:42",
        'kwargs.name:"a \\"b\\""',
        "kwargs.flag:true",
        "args.1:two",
    ):
        assert search(query) == [wanted.key], query
    assert search("kwargs.order_id:42 args.0:1") == [wanted.key]
    assert search("kwargs.order_id:4") == search("args.1:1") == search("args.7:1") == []
    run_tasks()
    assert search("kwargs.order_id:42") == [wanted.key]


def test_arguments_with_types_are_found_by_their_text() -> None:
    id = uuid4()
    result = anything.delay(id, when=datetime(2026, 1, 2, tzinfo=UTC).date())
    assert search(f"args.0:{id}") == search("kwargs.when:2026-01-02") == [result.key]


def test_large_arguments_are_found_where_they_are() -> None:
    apart = queued(payload_id=new_id())
    Message.objects.filter(pk=apart.pk).update(payload=None)
    Payload.objects.create(id=apart.payload_id, body='[["xyz"],{"much":"' + "a" * 100_000 + '"}]')
    assert search("args.0:xyz") == [apart.pk]


@pytest.mark.parametrize("value", [".*", "[a-z]+", "a\\b", "(", "^x$", "%", "ü\u202e", "a\nb"])
def test_a_value_is_no_pattern(value: str) -> None:
    exact = anything.delay(value, of=value)
    anything.delay("abc", of="other")
    for kind in ("args.0", "kwargs.of"):
        escaped = value.replace("\\", "\\\\")
        assert search(f'{kind}:"{escaped}"') == [exact.key]


def test_hidden_arguments_cannot_be_searched_for() -> None:
    hidden = anything.apply_async(("4111",), {"card": "4111"}, argsrepr="(***)", kwargsrepr="{***}")
    shown = anything.delay("4111", card="4111")
    assert search("kwargs.card:4111") == search("args.0:4111") == [shown.key]
    (record,) = [one for one in find(Filter()).records if one.id == hidden.key]
    assert (record.payload, record.argsrepr, record.kwargsrepr) == (None, "(***)", "{***}")


# --- what a record tells -----------------------------------------------------------------------


def test_a_record_tells_what_a_task_is_and_was() -> None:
    result = add.apply_async((1, 2), queue="mail", priority=3, countdown=60)
    (record,) = find(Filter()).records
    assert (record.id, record.task, record.queue, record.priority) == (
        result.key,
        add.name,
        "mail",
        3,
    )
    assert (record.payload, record.is_queued, record.date_done) == ("[[1,2],{}]", True, None)
    assert record.eta is not None
    assert record.max_retries == 3
    failing = fail.delay("no stock")
    run_tasks()
    (record,) = find(Filter.parse("state:FAILURE")).records
    assert (record.id, record.is_queued, record.error) == (failing.key, False, "no stock")


def test_long_texts_are_cut_by_the_server() -> None:
    queued(args=["x" * 1_000_000])
    failed("y" * 1_000_000)
    ready, failure = sorted(find(Filter()).records, key=lambda record: record.state, reverse=True)
    assert ready.payload is not None
    assert len(ready.payload) == 2_000
    assert failure.error is not None
    assert failure.error.startswith("yyy")
    assert len(failure.error) < 1_000


@pytest.mark.parametrize("broken", ["", "nonsense", "[1, 2", "3", "9" * 5_000, "[" * 100_000])
def test_rows_that_somebody_broke_are_listed(broken: str) -> None:
    failed()
    queued()
    columns = {"payload": broken, "options": broken}
    TaskResult.objects.update(**columns, result=broken)
    Message.objects.update(**columns)
    assert len(search()) == 2
    assert search("kwargs.a:1") == []


def test_a_page_takes_few_queries_however_many_tasks_it_has() -> None:
    everything()
    for query in ("", "state:FAILURE", "queue:celery", "state:RUNNING"):
        with CaptureQueriesContext(connection) as queries:
            find(Filter.parse(query), size=50)
        asked = [one for one in queries.captured_queries if "djtasks_" in one["sql"]]
        assert len(asked) <= 9, [one["sql"] for one in asked]


# --- ids of callers --------------------------------------------------------------------------


@pytest.mark.parametrize("custom_id", ["12345678", "10042", "order-42", "beef", "0" * 40])
@pytest.mark.parametrize("form", ["id:{}", "{}"])
def test_an_id_of_a_caller_is_found_whatever_it_looks_like(custom_id: str, form: str) -> None:
    key, _ = to_uuid(custom_id)
    for made in (ended(id=key, custom_id=custom_id), None, queued(id=key, custom_id=custom_id)):
        ended(task="shop.beef" if custom_id == "beef" else "shop.pack")
        found = find(Filter.parse(form.format(custom_id)))
        assert found.records[0].id == key, made
        assert found.next is None


def test_what_is_no_id_of_a_caller_is_a_part_of_names_as_ever() -> None:
    one = ended(task="shop.pack")
    assert [record.id for record in find(Filter.parse("pack")).records] == [one.pk]
    assert find(Filter.parse("x" * 300)).records == []
