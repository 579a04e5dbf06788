"""What a worker is asked through the database: reading it, and writing its answers."""

from __future__ import annotations

import json
import queue
from typing import TYPE_CHECKING, Any, NamedTuple

from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

QUESTIONS = load("questions")

_ANSWER = "UPDATE djtasks_question SET answer = %s WHERE id = %s"
_DONE = "DELETE FROM djtasks_question WHERE id = %s"


class Question(NamedTuple):
    """One question: ``arguments`` is JSON text."""

    id: int
    command: str
    arguments: str
    wants_answer: bool


class Questions:
    """Between the keeper's connection and the parent, who answers; ``ask`` gives it a question."""

    def __init__(self, ask: Callable[[Question], None]) -> None:
        self._ask = ask
        self._asked: set[int] = set()
        self._answers: queue.SimpleQueue[tuple[Question, str]] = queue.SimpleQueue()
        self._unwritten: list[tuple[Question, str]] = []

    def read(self, connection: psycopg.Connection[Any], worker_id: int) -> None:
        """Pass on what has not been passed on. Raises ``psycopg.Error``."""
        for row in connection.execute(QUESTIONS, {"worker": worker_id}).fetchall():
            question = Question._make(row)
            if question.id not in self._asked:
                self._asked.add(question.id)
                self._ask(question)

    def answer(self, question: Question, answer: Any) -> None:
        """Take an answer, from any thread."""
        self._answers.put((question, json.dumps(answer, separators=(",", ":"))))

    def take(self) -> None:
        """Take the answers that there are, to be written after what is done between."""
        while not self._answers.empty():
            self._unwritten.append(self._answers.get())

    def write(self, connection: psycopg.Connection[Any]) -> bool:
        """Write what was taken; whether there was something. Raises ``psycopg.Error``."""
        wrote = bool(self._unwritten)
        while self._unwritten:
            question, text = self._unwritten[0]
            if question.wants_answer:
                connection.execute(_ANSWER, (text, question.id))
            else:
                connection.execute(_DONE, (question.id,))
            del self._unwritten[0]
            self._asked.discard(question.id)
        return wrote
