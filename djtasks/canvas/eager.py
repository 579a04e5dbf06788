"""A canvas that runs in its caller's process: the same plan, carried out at once."""

from __future__ import annotations

from collections import defaultdict, deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from django.db import transaction

from djtasks import calling, eager, states
from djtasks.canvas.plan import Gathering
from djtasks.canvas.send import Planned, divided
from djtasks.carried import travelling
from djtasks.codec import decode_call, encode_call
from djtasks.conf import conf
from djtasks.eager import EagerResult
from djtasks.exceptions import ChordError, TaskRevokedError
from djtasks.joining import denied_join_result
from djtasks.registry import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from djtasks.canvas.plan import Step
    from djtasks.canvas.send import Checked
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
    given, whole = divided(sig, options or {})
    run = _Run(throw=given.pop("throw", None), through_json=False)
    run.plan(sig, args, kwargs or {}, given, whole)
    run()
    return run.handle


def apply_instead(
    sig: Signature[Any],
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    whole: Mapping[str, Any],
) -> Any:
    """Run a canvas instead of enqueueing it; arguments make the trip through JSON.

    All calls are checked before the first runs. With ``enqueue="on_commit"`` of its own, it runs
    when the caller's transaction commits.
    """
    run = _Run(throw=None, through_json=True)
    mode = calling.mode_of(calling.Defaults(sig.task, None), whole)
    run.plan(sig, args, kwargs, options, {**whole, "enqueue": mode})
    if whole.get("enqueue") == "on_commit":
        transaction.on_commit(run, using=conf.DATABASE)
    else:
        run()
    return run.handle


class _Run:
    """One plan under way: what is ready, what waits, and what its joins have."""

    def __init__(self, *, throw: bool | None, through_json: bool) -> None:
        self.handle: Any = None
        self._throw = throw
        self._through_json = through_json
        self._ready: deque[tuple[Step, tuple[Any, ...]]] = deque()
        self._waiting: dict[UUID, list[Step]] = defaultdict(list)
        self._inputs: dict[UUID, dict[int, Any]] = defaultdict(dict)
        self._joins: dict[UUID, Gathering] = {}
        self._results: dict[UUID, EagerResult[Any]] = {}

    def plan(
        self,
        sig: Signature[Any],
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        whole: Mapping[str, Any],
    ) -> None:
        """Find out what is to be run; nothing runs yet."""
        planned = Planned(sig, args, kwargs, options, whole, make_handle=self._pending)
        for row in planned.steps():
            if isinstance(row, Gathering):
                self._joins[row.id] = row
                continue
            registry[row.task]
            if self._through_json:
                call = planned.checked(row)
                if not self._is_sent(call):
                    continue
                # A typed task's are plain by now.
                row.args, row.kwargs = call.args, call.kwargs
            if row.after is None:
                self._ready.append((row, row.args))
            else:
                self._waiting[row.after].append(row)
        self.handle = planned.handle

    def __call__(self) -> None:
        """Run it to its end."""
        guard = denied_join_result() if self._through_json else nullcontext()
        with guard:
            while self._ready:
                self._run(*self._ready.popleft())

    def _pending(self, step: Step) -> EagerResult[Any]:
        result: EagerResult[Any] = EagerResult(
            step.custom_id or str(step.id), None, states.PENDING, name=step.task
        )
        self._results[step.id] = result
        return result

    def _is_sent(self, call: Checked) -> bool:
        """Tell the recorder, if there is one; whether the call is to be made."""
        message, _, args, kwargs, options = call
        return calling.goes_to_queue(message.task, args, kwargs, options, self._results[message.id])

    def _run(self, step: Step, args: tuple[Any, ...]) -> None:
        result = self._results[step.id]
        task = registry[step.task]
        kwargs: Any = step.kwargs
        given: Any = args
        if self._through_json:
            given, kwargs = decode_call(encode_call(args, kwargs, task=step.task))
        options = {name: value for name, value in step.options.items() if name not in NOT_HERE}
        options.update(task_id=result.id, root_id=str(step.root_id))
        if step.feeds is not None and step.position is not None and "group_id" not in options:
            # As a worker finds it: the members of a header are known by what they feed.
            options.update(group_id=str(step.feeds), group_index=step.position)
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
        """End all that waits for a step, and what waits for that.

        The rules are those of the function ``djtasks_fail`` (``0001_fail.sql``), for what is rows.
        """
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
            travelling(step.task, step.options),
            error,
            traceback,
            root_id=str(step.root_id),
            parent_id=None if step.parent_id is None else str(step.parent_id),
        )
