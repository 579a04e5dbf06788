"""Tenants of a queue take turns: how long one waits behind another's backlog."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter as Tally
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection

from djtasks import chord, control, enqueue_many, group
from djtasks.models import Message, MessageState, TaskResult
from djtasks.queue.claim import FAIR
from djtasks.testing import run_tasks
from djtasks.worker.lines import Lines
from djtasks.worker.session import PLANNER
from tests.testapp import fair_tasks as tasks
from tests.testapp.models import Note
from tests.worker_process import (
    SOUND_SLEEP,
    Journal,
    WorkerProcess,
    eventually,
    states,
    wait_drained,
)

SETTINGS: dict[str, Any] = {
    "IMPORTS": ["tests.testapp.fair_tasks"],
    "LEASE": 2.0,
    "HEARTBEAT_INTERVAL": 0.5,
}


def worker(*arguments: str, **settings: Any) -> WorkerProcess:
    """A worker that knows the tasks of this module."""
    return WorkerProcess(*arguments, settings={**SETTINGS, **settings})


def fill(journal: Journal, tenant: str, number: int, seconds: float = 0.0) -> None:
    """Enqueue many messages of one tenant, faster than calls do it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO djtasks_message (id, task, payload, queue, rank, state, fair, options)
            SELECT gen_random_uuid(), 'for_tenant',
                   format('[["%%s","%%s","%%s",%%s],{}]', %(journal)s, %(tenant)s, n, %(seconds)s),
                   'celery', 0, 5, %(tenant)s, format('{"fair":"%%s"}', %(tenant)s)
            FROM generate_series(1, %(number)s) AS n
            """,
            {"journal": str(journal), "tenant": tenant, "number": number, "seconds": seconds},
        )


def begun(journal: Journal) -> list[str]:
    """The tenants of the tasks that have begun, in order."""
    return [line.split()[1] for line in journal.lines if line.startswith("begin ")]


def lines(task: str = "for_tenant") -> dict[str | None, int]:
    """How many messages stand in which line."""
    found = Message.objects.filter(task=task, state=MessageState.IN_LINE)
    return dict(Tally(found.values_list("fair", flat=True)))


@pytest.mark.usefixtures("live")
def test_one_task_waits_for_no_more_than_a_round_behind_a_hundred_thousand(
    journal: Journal,
) -> None:
    fill(journal, "big", 100_000, 0.01)
    with worker("-c", "2"):
        eventually(lambda: len(begun(journal)) > 50)
        for name in ("small", "a first", "z last"):
            result = tasks.for_tenant.delay(str(journal), name.replace(" ", "-"), "1")
            result.get(timeout=60)
            # What was claimed before it, by the server's clock and however long this process took:
            # what the children had been given, and what a turn claimed just then, 40 ms each.
            own = TaskResult.objects.get(id=result.id)
            between = [
                model.objects.filter(
                    started_at__gte=own.enqueued_at, started_at__lte=own.started_at
                ).count()
                for model in (TaskResult, Message)
            ]
            assert sum(between) - 1 <= 2 * 2 * (2 * 2) + 4
    assert lines()["big"] > 90_000


@pytest.mark.usefixtures("live")
def test_tenants_get_equal_shares_while_they_have_some(journal: Journal) -> None:
    for tenant, number in (("a", 3000), ("b", 300), ("c", 60)):
        fill(journal, tenant, number)
    with worker("-c", "1"):
        wait_drained()
    order = begun(journal)
    assert Tally(order) == {"a": 3000, "b": 300, "c": 60}
    while_all = Tally(order[:177])
    assert max(while_all.values()) - min(while_all.values()) <= 2
    while_two = Tally(order[180:600])
    assert abs(while_two["a"] - while_two["b"]) <= 2


@pytest.mark.usefixtures("live")
def test_a_lone_tenant_uses_all_workers(journal: Journal) -> None:
    with worker("-c", "4"), worker("-c", "4", "-n", "other@%h"):
        enqueue_many((tasks.for_tenant, (str(journal), "only", str(n), 1.0)) for n in range(40))
        eventually(lambda: Message.objects.exclude(worker_id=None).count() >= 8)
        wait_drained()
    assert Tally(begun(journal)) == {"only": 40}


@pytest.mark.usefixtures("live")
def test_priorities_hold_within_a_tenant_and_not_between_them(journal: Journal) -> None:
    for n in range(5):
        tasks.for_tenant.apply_async((str(journal), "a", f"low{n}"))
        tasks.for_tenant.apply_async((str(journal), "b", f"low{n}"))
    for n in range(3):
        tasks.for_tenant.apply_async((str(journal), "b", f"high{n}"), priority=9)
    with worker("-c", "1"):
        wait_drained()
    names = [line.split()[1:] for line in journal.lines if line.startswith("begin ")]
    of_b = [name for tenant, name in names if tenant == "b"]
    assert of_b == [*(f"high{n}" for n in range(3)), *(f"low{n}" for n in range(5))]
    assert Tally(tenant for tenant, _ in names[:10]) == {"a": 5, "b": 5}


@pytest.mark.usefixtures("live")
def test_a_retry_goes_to_the_end_of_its_line(journal: Journal) -> None:
    tasks.for_tenant.delay(str(journal), "a", "again", 0.1, 1)
    enqueue_many((tasks.for_tenant, (str(journal), "a", str(n), 0.1)) for n in range(4))
    enqueue_many((tasks.for_tenant, (str(journal), "b", str(n), 0.1)) for n in range(8))
    with worker("-c", "1"):
        wait_drained()
    of_a = [line.split()[2] for line in journal.lines if line.startswith("begin a ")]
    assert of_a == ["again", "0", "1", "2", "3", "again"]
    assert states() == {"SUCCESS": 13}


@pytest.mark.usefixtures("live")
def test_neither_lines_nor_what_is_in_none_wait_for_the_end_of_the_other(
    journal: Journal,
) -> None:
    fill(journal, "a", 3000, 0.002)
    enqueue_many((tasks.for_everybody, (str(journal), str(n))) for n in range(3000))
    with worker("-c", "2"):
        wait_drained()
    order = begun(journal)
    # What is in line is slower, which alone says how many are claimed.
    for one, other in (("a", "nobody"), ("nobody", "a")):
        some = [n for n, tenant in enumerate(order) if tenant == one][300]
        assert Tally(order[:some])[other] < 2900


@pytest.mark.usefixtures("live")
def test_lines_of_several_queues_are_served_by_whom_serves_the_queue(journal: Journal) -> None:
    for queue in ("one", "two", "three"):
        for n in range(20):
            tasks.for_tenant.apply_async((str(journal), f"{queue}-{n % 2}", str(n)), queue=queue)
    with worker("-c", "1", "-Q", "one,two"):
        eventually(lambda: not Message.objects.exclude(queue="three").exists())
        assert Message.objects.filter(queue="three", state=MessageState.IN_LINE).count() == 20
        # A claim of an odd number gives one of them one more, the next one the other.
        first = Tally(tenant[:3] for tenant in begun(journal)[:20])
        assert abs(first["one"] - first["two"]) <= 2
    # Nothing is ready in it: a worker for all queues finds it by its line.
    with worker("-c", "1"):
        wait_drained()


@pytest.mark.usefixtures("live")
def test_an_idle_worker_is_woken_for_a_line_and_does_not_turn_in_circles(journal: Journal) -> None:
    modules = [*SETTINGS["IMPORTS"], SOUND_SLEEP]
    with worker("-c", "2", IMPORTS=modules) as one:
        tasks.for_tenant.delay(str(journal), "a", "0").get(timeout=60)
        control.pause("celery")
        fill(journal, "b", 500)
        time.sleep(1)
        before = sum(one_process_times(one))
        time.sleep(2)
        # Rested: it looked now and then, which takes a millisecond.
        assert sum(one_process_times(one)) - before < 0.5
        assert Tally(begun(journal)) == {"a": 1}
        control.resume("celery")
        wait_drained()
        for n in range(10):
            tasks.for_tenant.delay(str(journal), "c", str(n)).get(timeout=60)


def one_process_times(one: WorkerProcess) -> tuple[float, float]:
    """Seconds of processor time that the parent has used."""
    import psutil

    times = psutil.Process(one.pid).cpu_times()
    return times.user, times.system


@pytest.mark.usefixtures("live")
def test_tasks_that_a_worker_does_not_know_hold_up_no_others(journal: Journal) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO djtasks_message (id, task, payload, queue, state, fair)
            SELECT gen_random_uuid(), 'of.another.version', '[[],{}]', 'celery', 5, tenant
            FROM unnest(ARRAY['a', 'b']) AS tenant, generate_series(1, 50)
            """
        )
    fill(journal, "b", 100)
    fill(journal, "c", 100)
    with worker("-c", "1"):
        eventually(lambda: len(begun(journal)) == 200)
        assert lines("of.another.version") == {"a": 50, "b": 50}
        Message.objects.all().delete()


@pytest.mark.usefixtures("live")
def test_what_nobody_knows_any_more_is_failed_by_a_worker_without_lines() -> None:
    Message.objects.create(
        task="of.another.version", payload="[[],{}]", queue="celery", state=5, fair="a"
    )
    with WorkerProcess("-c", "1", settings={"UNKNOWN_TASK_TIMEOUT": 0.5}):
        wait_drained()
    assert states() == {"FAILURE": 1}


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("settings", [{}, {"LISTEN": False}], ids=["listening", "pooled"])
def test_a_worker_that_drains_its_queues_drains_their_lines(
    journal: Journal, settings: dict[str, Any]
) -> None:
    for tenant in range(50):
        fill(journal, f"t{tenant}", 4)
    with worker("-c", "2", "--drain", **settings) as one:
        one.wait()
    assert set(Tally(begun(journal)).values()) == {4}
    assert not Message.objects.exists()


@pytest.mark.usefixtures("live")
def test_a_limit_on_top_is_kept_and_blocks_nobody_for_good(journal: Journal) -> None:
    enqueue_many((tasks.one_for_tenant, (str(journal), f"t{n % 3}", str(n))) for n in range(60))
    with worker("-c", "4"):
        wait_drained()
    running = most = 0
    for line in journal.lines:
        running += 1 if line.startswith("begin ") else -1
        most = max(most, running)
    assert most == 1
    assert states() == {"SUCCESS": 60}


@pytest.mark.usefixtures("live")
def test_members_of_a_chord_stand_in_lines_once_they_are_fed(journal: Journal) -> None:
    fill(journal, "big", 2000, 0.001)
    members = [tasks.for_tenant.si(str(journal), "small", str(n)) for n in range(5)]
    first = tasks.for_tenant.si(str(journal), "small", "before")
    result = (first | chord(group(members), tasks.gather_names.s())).delay()
    with worker("-c", "2"):
        assert result.get(timeout=60) == [str(n) for n in range(5)]
    order = begun(journal)
    last = max(n for n, tenant in enumerate(order) if tenant == "small")
    assert Tally(order[:last])["big"] < 1500


@pytest.mark.usefixtures("live")
def test_a_step_that_is_given_a_result_stands_in_the_line_that_its_own_arguments_tell() -> None:
    first = tasks.for_everybody.si("/dev/null", "x")
    (first | tasks.for_tenant.s("a", "1")).delay()
    (first | tasks.for_tenant.s(tenant="b", name="1")).delay()
    (first | tasks.tell_tenant.s()).delay()
    found = Message.objects.filter(state=MessageState.WAITING).order_by("seq")
    assert list(found.values_list("fair", flat=True)) == ["a", "b", None]


@pytest.mark.usefixtures("live")
def test_whatever_makes_it_ready_again_puts_it_back_in_line() -> None:
    later = tasks.for_tenant.apply_async(("/dev/null", "a", "x"), countdown=3600)
    assert lines() == {}
    assert control.run_now([later.id]).done == 1
    assert lines() == {"a": 1}
    assert control.move([later.id], queue="elsewhere").done == 1
    assert Message.objects.get().queue == "elsewhere"
    assert lines() == {"a": 1}
    assert control.revoke([later.id]).done == 1
    assert states() == {"REVOKED": 1}
    assert control.retry([later.id]).done == 1
    assert lines() == {"a": 1}
    assert control.purgeable("elsewhere").done == 1
    assert control.purge("elsewhere") == 1
    assert not Message.objects.exists()


@pytest.mark.usefixtures("live")
def test_run_tasks_takes_turns(journal: Journal) -> None:
    for tenant, number in (("a", 5), ("b", 2), ("c", 1)):
        for n in range(number):
            tasks.for_tenant.delay(str(journal), tenant, str(n))
    assert len(run_tasks()) == 8
    assert begun(journal) == ["a", "b", "c", "a", "b", "a", "a", "a"]


def noted() -> list[int]:
    """What has run to its end, in order."""
    return sorted(int(text) for text in Note.objects.values_list("text", flat=True))


@pytest.mark.usefixtures("live")
def test_two_workers_that_race_for_a_line_take_each_message_once() -> None:
    with worker("-c", "2"), worker("-c", "2", "-n", "other@%h"):
        for batch in range(5):
            enqueue_many((tasks.note_for_tenant, (n % 3, batch * 100 + n)) for n in range(100))
        for n in range(500, 560):
            tasks.note_for_tenant.delay(n, n)
        wait_drained(90)
    assert noted() == list(range(560))


@pytest.mark.usefixtures("live")
def test_kills_lose_and_double_nothing() -> None:
    chance = random.Random(11)
    number = 0
    with ExitStack() as stack:
        crews = [
            stack.enter_context(worker("-c", "2", "-n", f"w{n}@%h", MAX_DELIVERIES=100))
            for n in range(2)
        ]
        for _ in range(12):
            enqueue_many((tasks.note_for_tenant, (n % 17, number + n)) for n in range(40))
            number += 40
            time.sleep(chance.uniform(0.05, 0.3))
            if children := chance.choice(crews).children:
                chance.choice(children).send_signal(signal.SIGKILL)
        crews[0].kill()
        wait_drained(90)
    assert states() == {"SUCCESS": number}
    assert noted() == list(range(number))


@pytest.mark.django_db
@pytest.mark.parametrize("number", [0, 20_000])
def test_a_claim_from_lines_reads_their_index_and_nothing_else(
    number: int, journal: Journal
) -> None:
    fill(journal, "a", number)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE djtasks_message")
        for name, value in PLANNER:
            cursor.execute("SELECT set_config(%s, %s, true)", (name, value))
        asked = Lines().arguments(["q", "r"], 100, 0.0, 1, ["unknown"])
        asked.update(spot_queues="{q}", spots="{a}", ranks="{0}", seqs="{0}")
        cursor.execute(f"EXPLAIN {FAIR}", asked)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    scans = [line for line in plan.splitlines() if "Scan" in line and " djtasks_message" in line]
    assert all("using djtasks_message_line" in line or "Tid Scan" in line for line in scans)
    assert plan.count("Index Cond: ((queue = ") == len(scans) - 1
    assert "Tid Scan on djtasks_message" in plan
