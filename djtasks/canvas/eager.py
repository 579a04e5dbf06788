"""A canvas that runs in its caller's process: the same plan, carried out at once."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from djtasks import calling, eager, states
from djtasks.canvas.plan import Step, plan
from djtasks.codec import decode_call, encode_call
from djtasks.conf import conf
from djtasks.eager import EagerResult
from djtasks.exceptions import ChordError, TaskRevokedError
from djtasks.ids import new_id
from djtasks.joining import denied_join_result
from djtasks.registry import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from uuid import UUID

    from djtasks.canvas.plan import Gathering
    from djtasks.canvas.signature import Signature

NOT_HERE = frozenset({"countdown", "eta", "expires", "enqueue", "chord"})
"""Options of a call that mean nothing where nothing waits."""


def apply(
    sig: Signature[Any],
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Run a chain, group or chord here, with live arguments, and return its result.

    A failure ends what waits for it, as in a worker; ``throw=True`` (default:
    ``TASK_EAGER_PROPAGATES``) raises it.
    """
    given = {name: value for name, value in (options or {}).items() if value is not None}
    throw = given.pop("throw", None)
    return _Run(throw=throw, through_json=False)(sig, args, kwargs or {}, given)


def apply_instead(
    sig: Signature[Any], args: Iterable[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> Any:
    """Run a canvas instead of enqueueing it; arguments make the trip through JSON."""
    with denied_join_result():
        return _Run(throw=None, through_json=True)(sig, args, kwargs, options)


class _Run:
    """One plan under way: what is ready, what waits, and what its joins have."""

    def __init__(self, *, throw: bool | None, through_json: bool) -> None:
        self._throw = throw
        self._through_json = through_json
        self._ready: deque[tuple[Step, tuple[Any, ...]]] = deque()
        self._waiting: dict[UUID, list[Step]] = defaultdict(list)
        self._inputs: dict[UUID, dict[int, Any]] = defaultdict(dict)
        self._joins: dict[UUID, Gathering] = {}
        self._results: dict[UUID, EagerResult[Any]] = {}

    def __call__(
        self,
        sig: Signature[Any],
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Any:
        rows = plan(
            sig,
            args,
            kwargs,
            options,
            new_id=new_id,
            errbacks_in_headers=conf.TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER,
            handle=self._pending,
        )
        handles: list[Any] = []
        for row in _and_value(rows, handles):
            self._take(row)
        while self._ready:
            step, more = self._ready.popleft()
            self._run(step, more)
        return handles[0]

    def _pending(self, step: Step) -> EagerResult[Any]:
        result: EagerResult[Any] = EagerResult(
            step.custom_id or str(step.id), None, states.PENDING, name=step.task
        )
        self._results[step.id] = result
        return result

    def _take(self, row: Step | Gathering) -> None:
        if not isinstance(row, Step):
            self._joins[row.id] = row
        elif row.after is None:
            self._ready.append((row, row.args))
        else:
            self._waiting[row.after].append(row)

    def _run(self, step: Step, args: tuple[Any, ...]) -> None:
        result = self._results[step.id]
        task = registry[step.task]
        kwargs: Any = step.kwargs
        given: Any = args
        if self._through_json:
            given, kwargs = decode_call(encode_call(args, kwargs, task=step.task))
        options = {name: value for name, value in step.options.items() if name not in NOT_HERE}
        if not calling.goes_to_queue(step.task, given, kwargs, options, result):
            return
        options.update(task_id=result.id, root_id=str(step.root_id))
        if step.parent_id is not None:
            options["parent_id"] = str(step.parent_id)
        ran = eager.apply(task, given, kwargs, options, throw=self._throw)
        result.settle(ran)
        if step.feeds is None:
            return
        if ran.state == states.SUCCESS:
            self._feed(step.feeds, step.position, ran.result)
            return
        error = ran.result
        state = ran.state
        if not isinstance(error, BaseException) or state not in states.READY_STATES:
            error = TaskRevokedError(f"what it waits for was {state.lower()}")
            state = states.REVOKED
        self._fail(step, state, error, ran.traceback)

    def _feed(self, join: UUID, position: int | None, value: Any) -> None:
        if position is not None:
            inputs = self._inputs[join]
            inputs[position] = value
            if join not in self._joins or len(inputs) < self._joins[join].size:
                return
            value = [inputs[place] for place in sorted(inputs)]
        for step in self._waiting.pop(join, ()):
            self._ready.append((step, step.args if step.immutable else (value, *step.args)))

    def _fail(self, cause: Step, state: str, error: BaseException, traceback: str | None) -> None:
        """End all that waits for a step, and what waits for that."""
        causes = deque([(cause, state, error)])
        failed: set[UUID] = set()
        while causes:
            cause, state, error = causes.popleft()
            if cause.feeds is None:
                continue
            join = self._joins.pop(cause.feeds, None)
            counted = cause.position is not None
            name = cause.custom_id or str(cause.id)
            # A chord of which all is behind the failure is a step of a chain, and fails like one.
            behind = join is not None and join.after in failed
            failed.add(cause.feeds)
            if counted and not behind and not (join is not None and join.is_group):
                state = states.FAILURE
                error = ChordError(f"Dependency {name} raised {error!r}")
            for step in self._waiting.pop(cause.feeds, ()):
                result = self._results[step.id]
                result.settle(EagerResult(result.id, error, state, traceback, step.task))
                if counted and not behind and step.options.get("link_error"):
                    self._call_errbacks(step, error, traceback)
                causes.append((step, state, error))

    def _call_errbacks(self, step: Step, error: BaseException, traceback: str | None) -> None:
        from djtasks.canvas.errbacks import call_errbacks

        call_errbacks(
            self._results[step.id].id,
            step.task,
            step.args,
            step.kwargs,
            step.options["link_error"],
            error,
            traceback,
            root_id=str(step.root_id),
        )


def _and_value(rows: Any, value: list[Any]) -> Iterator[Step | Gathering]:
    """The rows; the generator's own value goes into the list."""
    value.append((yield from rows))
