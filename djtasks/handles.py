"""Several handles as one: the list of them, and what is known of their tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from djtasks import states
from djtasks.handle import Handle
from djtasks.lookout import learn
from djtasks.result import AsyncResult


class Handles:
    """A list of handles of tasks, or of sets of them. What is not known yet is read together.

    ``results`` is the list itself if it is one. ``app`` is taken for Celery's sake.
    """

    __slots__ = ("__weakref__", "results")

    results: list[Any]

    def __init__(self, results: Iterable[Any], app: object = None, **kwargs: object) -> None:
        self.results = results if isinstance(results, list) else list(results)

    # Its members

    def add(self, result: Any) -> None:
        """Add a result unless it is a member already."""
        if result not in self.results:
            self.results.append(result)

    def remove(self, result: Any) -> None:
        """Remove a result, given as itself or by its id. Raises :class:`KeyError` for no member."""
        if isinstance(result, str):
            result = AsyncResult[Any](result)
        try:
            self.results.remove(result)
        except ValueError:
            raise KeyError(result) from None

    def discard(self, result: Any) -> None:
        """Remove a result if it is a member."""
        with suppress(KeyError):
            self.remove(result)

    def update(self, results: Iterable[Any]) -> None:
        """Add those of these results that are no members already."""
        known = {member for member in self.results if isinstance(member, Handle)}
        for result in results:
            if isinstance(result, Handle):
                if result not in known:
                    known.add(result)
                    self.results.append(result)
            else:
                self.add(result)

    def clear(self) -> None:
        """Remove all results."""
        self.results.clear()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    # What is known of them

    def ready(self) -> bool:
        """Whether all tasks have ended, in whichever way."""
        self._learn()
        return all(leaf._end() is not None for leaf in self._leaves())

    def waiting(self) -> bool:
        """Whether a task has not ended."""
        return not self.ready()

    def successful(self) -> bool:
        """Whether all tasks returned."""
        ends = {leaf._end() for leaf in self._leaves()}
        if None in ends and ends <= {None, states.SUCCESS}:
            self._learn()
            ends = {leaf._end() for leaf in self._leaves()}
        return ends <= {states.SUCCESS}

    def failed(self) -> bool:
        """Whether a task ended with an exception."""
        if any(leaf._end() == states.FAILURE for leaf in self._leaves()):
            return True
        self._learn()
        return any(leaf._end() == states.FAILURE for leaf in self._leaves())

    def completed_count(self) -> int:
        """How many of the results are those of tasks that returned; a set in it counts as one."""
        self._learn()
        return sum(
            all(leaf._end() == states.SUCCESS for leaf in member._leaves())
            for member in self.results
        )

    # As a value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Handles):
            return self.results == other.results
        return NotImplemented

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: [{', '.join(map(str, self.results))}]>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.results,)

    # What it consists of

    def _leaves(self) -> Iterator[AsyncResult[Any]]:
        """The tasks, those of sets in the set included."""
        for member in self.results:
            if isinstance(member, AsyncResult):
                yield member
            else:
                yield from member._leaves()

    def _parents_of_leaves(self) -> Iterator[AsyncResult[Any]]:
        for leaf in self._leaves():
            yield from leaf._leaves_before()

    def _learn(self) -> None:
        learn(self._leaves())

    def _is_settled(self) -> bool:
        return all(leaf._is_settled() for leaf in self._leaves())

    def _settled(self, propagate: bool) -> list[Any]:
        return [member._settled(propagate) for member in self.results]

    def _meta(self) -> list[Any]:
        return self.results

    def _forgettable(self) -> Iterator[AsyncResult[Any]]:
        for member in self.results:
            yield from member._forgettable()
