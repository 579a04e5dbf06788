"""Ids: unique, ordered, safe across threads and forks; a caller's own ids as keys."""

from __future__ import annotations

import os
import threading
import time
import uuid
from uuid import UUID

import pytest

from djtasks import ids
from djtasks.ids import NAMESPACE, new_id, to_uuid


def test_is_a_version_7_uuid() -> None:
    made = new_id()
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made == UUID(str(made))
    assert hash(made) == hash(UUID(str(made)))
    assert repr(made) == repr(UUID(str(made)))


def test_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = new_id().int >> 80
    assert before <= milliseconds <= time.time_ns() // 1_000_000


def test_grows_within_a_process() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_grows_when_the_clock_stands_still_or_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    made = []
    for moment in (now, now, now - 10_000_000_000, now - 20_000_000_000):
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment)
        made += [new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert made[-1].version == 7


def test_random_part_uses_all_of_its_bits() -> None:
    seen_set = seen_clear = 0
    mask = (1 << 62) - 1
    for _ in range(500):
        random = new_id().int & mask
        seen_set |= random
        seen_clear |= ~random & mask
    assert seen_set == seen_clear == mask


def test_threads_share_nothing_by_accident() -> None:
    made: list[list[UUID]] = [[] for _ in range(4)]

    def make(into: list[UUID]) -> None:
        into.extend(new_id() for _ in range(5000))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each == sorted(each) for each in made)
    assert len({key for each in made for key in each}) == 20_000


def _ids_of_child(count: int) -> list[str]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "\n".join(str(new_id()) for _ in range(count)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    os.waitpid(child, 0)
    return text.split("\n")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_repeat_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    new_id()  # so that there is a stock of random numbers to inherit
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    made = [*_ids_of_child(50), *_ids_of_child(50), *(str(new_id()) for _ in range(50))]
    assert len(set(made)) == 150
    assert len({text[19:] for text in made}) == 150


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_the_lock_is_held_still_makes_ids() -> None:
    with ids._generator.lock:
        made = _ids_of_child(1)
    assert UUID(made[0]).version == 7


def test_a_uuid_is_its_own_key() -> None:
    key = new_id()
    assert to_uuid(key) == (key, None)
    assert to_uuid(str(key)) == (key, None)


@pytest.mark.parametrize("spelling", [str.upper, lambda text: text.replace("-", "")])
def test_another_spelling_of_a_uuid_is_the_same_key_and_kept(spelling: object) -> None:
    key = UUID("0190b6a0-1234-7abc-8def-0123456789ab")
    text = spelling(str(key))  # type: ignore[operator]
    assert to_uuid(text) == (key, text)


@pytest.mark.parametrize("text", ["order-42", "ä", "{0190b6a0-1234-7abc-8def-0123456789ab}"])
def test_any_other_text_is_mapped_and_kept(text: str) -> None:
    assert to_uuid(text) == (uuid.uuid5(NAMESPACE, text), text)


def test_the_mapping_never_changes() -> None:
    # Ids that are in somebody's tables depend on it.
    assert str(to_uuid("order-42")[0]) == "d4e0eb92-c8c3-52ac-a386-9fdf7db14c90"


@pytest.mark.parametrize("text", ["", "x" * 256, "a\0b", "a\ud800b"])
def test_refuses_what_cannot_be_stored(text: str) -> None:
    with pytest.raises(ValueError, match="task_id"):
        to_uuid(text)


def test_takes_the_longest_text() -> None:
    assert to_uuid("x" * 255)[1] == "x" * 255


@pytest.mark.parametrize("wrong", [None, 42, b"order"])
def test_refuses_what_is_no_text(wrong: object) -> None:
    with pytest.raises(TypeError, match="task_id must be a text or a UUID"):
        to_uuid(wrong)  # type: ignore[arg-type]
