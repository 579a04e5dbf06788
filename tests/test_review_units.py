"""Parts of the queue and the worker by themselves, each with a fault that it once had."""

from __future__ import annotations

import array
import errno
import json
import marshal
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, NoReturn

import psycopg
import pytest

from djtasks import enqueue_many
from djtasks.models import Message
from djtasks.queue.claim import CLAIM, LONGEST_REWIND, Positions
from djtasks.queue.finish import FEED, FINISH, RELEASE, RETRY, Batch
from djtasks.worker import session
from djtasks.worker.board import Board
from djtasks.worker.child import Child
from djtasks.worker.forker import PACKET, Forker
from djtasks.worker.intake import Intake
from djtasks.worker.options import WorkerOptions
from djtasks.worker.session import PROMOTE
from djtasks.worker.turn import Turn
from djtasks.worker.wire import Reader
from tests.testapp import tasks
from tests.worker_process import ROOT, address

# --- the board -------------------------------------------------------------------------------

WRITER = """
import sys, time
from djtasks.worker.board import Board

board = Board(int(sys.argv[1]), 1)
while True:
    board.begin(0, time.monotonic_ns())
    board.end(0)
"""


@pytest.fixture
def board() -> Iterator[Board]:
    """One slot."""
    board = Board.create(1)
    yield board
    board.close()


def test_a_token_on_the_board_has_its_own_time(board: Board) -> None:
    """The writer's token is the time just before it begins: no message runs for longer."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(board.fd)], pass_fds=[board.fd], cwd=ROOT
    )
    try:
        while not board.running(0)[0]:
            assert writer.poll() is None
        seen = set()
        ends = time.monotonic() + 1.5
        while time.monotonic() < ends:
            token, seconds = board.running(0)
            if token:
                longest = (time.monotonic_ns() - token) / 1e9
                assert 0 <= seconds <= longest
                seen.add(token)
    finally:
        writer.kill()
        writer.wait()
    assert len(seen) > 3


# --- where and when to look ------------------------------------------------------------------


def test_a_slow_claim_does_not_have_messages_overlooked_for_long() -> None:
    positions = Positions()
    positions.set_queues(["a"])
    positions.arguments(0.0)
    positions.claimed([], 10, 0.0, 60.0)
    assert positions.overlooks_for <= LONGEST_REWIND <= 2.0
    positions.arguments(61.0)
    positions.claimed([], 10, 61.0, 61.0)
    again = positions.must_look_again(61.0)
    assert again is not None
    assert again <= 2.0


def take_a_turn(intake: Intake, now: float, *, news: str | None = None) -> None:
    """A turn that claims nothing, in the middle of which a notification may arrive."""
    if intake.must_open(now):
        intake.opens(None, now)
    turn = intake.plan(Turn(Batch()), 5, now, listens=True)
    assert turn.limit == 5
    if news is not None:
        intake.on_notify(news, "a")
    intake.done(turn, now, now)
    # Other tests may have declared tasks with a fair_key.
    if intake.plan_lines(5, now, 1) is not None:
        intake.done_lines([], now, now, more=False)


@pytest.mark.parametrize("channel", ["djtasks_wake", "djtasks_due"])
@pytest.mark.parametrize("queues", [("a",), None], ids=["one queue", "all queues"])
def test_a_notification_during_a_turn_is_not_forgotten(
    channel: str, queues: tuple[str, ...] | None
) -> None:
    intake = Intake(WorkerOptions(queues=queues))
    now = 1000.0
    while intake.wants_to_look(now):
        take_a_turn(intake, now)
        # Short steps: where tasks have rates, those are looked at each second.
        now += 0.1
        assert now < 1000.9, "it never rests"
    # A turn that was announced, with nothing else: it rests again.
    intake.on_notify(channel, "a")
    assert intake.wants_to_look(now)
    take_a_turn(intake, now)
    assert not intake.wants_to_look(now)
    # The same, with news while its claim is under way.
    now += 1
    intake.on_notify(channel, "a")
    take_a_turn(intake, now, news=channel)
    assert intake.wants_to_look(now)
    turn = intake.plan(Turn(Batch()), 5, now, listens=True)
    assert turn.promote is (channel == "djtasks_due")


# --- starting children -----------------------------------------------------------------------


def no_process_left(*args: Any, **kwargs: Any) -> NoReturn:
    raise OSError(errno.EAGAIN, "Resource temporarily unavailable")


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_child_that_cannot_be_started_is_reported(
    method: str,
    board: Board,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The limit on processes does not bind the superuser, so the call itself fails here."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child, of_child = socket.socketpair()
    with ours, theirs, child, of_child:
        forker = Forker(theirs, method)
        ours.sendmsg(
            [marshal.dumps(["start", 3, 1])],
            [
                (
                    socket.SOL_SOCKET,
                    socket.SCM_RIGHTS,
                    array.array("i", [of_child.fileno(), board.fd]),
                )
            ],
        )
        before = open_files()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fork", no_process_left)
            patch.setattr(subprocess, "Popen", no_process_left)
            assert forker._obey()
        assert marshal.loads(ours.recv(PACKET)) == ("exited", 3, 0, 1)
        assert "could not be started" in capfd.readouterr().err
        assert open_files() == before
        assert forker._pids == {}
        for fd in (forker._wake_read, forker._wake_write):
            os.close(fd)


def open_files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


# --- queues ----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["q" * 256, "é" * 128], ids=["letters", "bytes"])
def test_a_queue_name_that_is_too_long_is_refused_in_the_caller(name: str) -> None:
    with pytest.raises(TypeError, match=r"name of a queue has at most 255 bytes, and .* has 256"):
        tasks.add.apply_async((1, 1), queue=name)
    with pytest.raises(TypeError, match="at most 255 bytes"):
        enqueue_many([tasks.add.s(1, 1).set(queue=name)])
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_a_queue_name_of_255_bytes_is_taken() -> None:
    tasks.add.apply_async((1, 1), queue="q" * 255)
    assert Message.objects.get().queue == "q" * 255


# --- plans -----------------------------------------------------------------------------------


@pytest.fixture
def outdated(live: None) -> Iterator[tuple[psycopg.Connection[Any], list[Any]]]:
    """5,000 messages in a table whose statistics say that it is empty; the ids of 200 claimed.

    The connection plans as a worker's does.
    """
    with (
        psycopg.connect(address(), autocommit=True) as other,
        psycopg.connect(address(), autocommit=True) as ours,
    ):
        with other.transaction():
            other.execute(
                "INSERT INTO djtasks_message (id, task, queue, payload) "
                "SELECT gen_random_uuid(), 't', 'q', '[[],{}]' FROM generate_series(1, 5000)"
            )
            ours.execute("VACUUM (ANALYZE, TRUNCATE false) djtasks_message")
        for name, value in session.PLANNER:
            ours.execute("SELECT set_config(%s, %s, false)", (name, value))
        claim = {
            "worker": 7,
            "limit": 200,
            "queues": ["q"],
            "ranks": [-1],
            "seqs": [0],
            "unknown": [],
            "unknown_timeout": 3600.0,
        }
        claimed = [row[0] for row in ours.execute(CLAIM, claim).fetchall()]
        assert len(claimed) == 200
        yield ours, claimed


STATEMENTS = {
    "finish": FINISH,
    "feed": FEED,
    "retry": RETRY,
    "release": RELEASE,
    "promote": PROMOTE,
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statistics_of_an_empty_table_do_not_make_a_scan_of_each_outcome(
    outdated: tuple[psycopg.Connection[Any], list[Any]], name: str
) -> None:
    ours, claimed = outdated
    outcomes = json.dumps(
        [
            {
                "id": str(id),
                "owner": 7,
                "state": "SUCCESS",
                "result": None,
                "retries": 1,
                "deliveries": 0,
                "delay": 0,
            }
            for id in claimed
        ]
    )
    params = {"outcomes": outcomes, "hostname": "here"} if name != "promote" else None
    row = ours.execute(f"EXPLAIN (FORMAT JSON) {STATEMENTS[name]}", params).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    # Promoting finds what is due by another index before it updates by the key.
    scans = [
        node
        for node in nodes(plan)
        if node.get("Relation Name") == "djtasks_message"
        and "Scan" in node["Node Type"]
        and node.get("Index Name") != "djtasks_message_due"
    ]
    assert scans
    for scan in scans:
        # By the key, if need be with a bitmap of the one row that there is.
        by = scan["Plans"][0] if scan["Node Type"] == "Bitmap Heap Scan" else scan
        assert by["Node Type"] in ("Index Scan", "Bitmap Index Scan"), json.dumps(plan, indent=1)
        assert by["Index Name"] == "djtasks_message_pkey"
        assert "id = ANY (ARRAY[" in by.get("Index Cond", "")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node of a plan and everything below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def test_a_child_that_is_asked_again_while_it_gives_back_reads_its_socket_once_at_a_time() -> None:
    """The signals may come at any instruction, also of their own handler."""
    ours, theirs = socket.socketpair()
    reading: list[int] = []

    class Interrupted:
        def available(self) -> list[Any]:
            reading.append(1)
            assert sum(reading) == 1
            if frames:
                child._give_back(signal.SIGUSR2, None)
            found = [frames.pop()] if frames else []
            reading.append(-1)
            return found

    frames: list[Any] = [[(2, (), None)], [(1, (), None)]]
    child = Child.__new__(Child)
    child._sock = ours
    child._reader = Interrupted()  # type: ignore[assignment]
    child._pending = deque()
    child._in_user_code, child._giving_back, child._asked_again = True, False, False
    with ours, theirs:
        child._give_back(signal.SIGUSR2, None)
        told = Reader(theirs)
        assert [frame[1:3] for frame in told.wait()] == [("recalled", [1]), ("recalled", [2])]
    assert not child._giving_back
