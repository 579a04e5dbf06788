"""Running a task in its caller's process: ``Task.apply()`` and ``TASK_ALWAYS_EAGER``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import transaction

from djtasks import calling, states
from djtasks.canvas.signature import as_list
from djtasks.codec import decode_call, encode_exception
from djtasks.conf import conf
from djtasks.exceptions import TaskRevokedError
from djtasks.execution.eager import EagerExecutor
from djtasks.execution.request import HOSTNAME, Context, current_frame
from djtasks.execution.retry import RetryPlan
from djtasks.ids import new_id, to_uuid
from djtasks.joining import assert_will_not_block, denied_join_result
from djtasks.options import CALL_OPTIONS, unknown_call_option, unknown_name
from djtasks.queue.enqueue import enqueue
from djtasks.queue.outcome import Disposal
from djtasks.queue.state import store_state
from djtasks.result import AsyncResult

if TYPE_CHECKING:
    from djtasks.queue.outcome import Outcome
    from djtasks.task import Task

R = TypeVar("R")

_APPLY_OPTIONS = CALL_OPTIONS | {"logfile", "loglevel"}


class EagerResult(AsyncResult[R]):
    """The result of a task that ran in this process. Nothing is read from the database."""

    __slots__ = ("_result", "_state", "_traceback")

    _is_stored = False

    def __init__(
        self,
        id: str,
        ret_value: Any,
        state: str,
        traceback: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(id, task_name=name)
        self._result = ret_value
        self._state = state
        self._traceback = traceback

    @property
    def state(self) -> str:
        """The state it ended in; PENDING while it waits for the caller's commit."""
        return self._state

    status = state

    @property
    def result(self) -> Any:
        """The return value, or the exception."""
        return self._result

    info = result

    @property
    def traceback(self) -> str | None:
        """The traceback of a failure, as text."""
        return self._traceback

    @property
    def name(self) -> str | None:
        """The name of the task."""
        return self._name

    @property
    def args(self) -> None:
        """Not known, as in Celery."""

    kwargs = worker = retries = queue = date_done = children = args

    def exists(self) -> bool:
        """True: it has run."""
        return True

    def ready(self) -> bool:
        """Whether it has run."""
        return self._state != states.PENDING

    def get(  # type: ignore[override]
        self,
        timeout: float | None = None,
        propagate: bool = True,
        disable_sync_subtasks: bool = True,
        **kwargs: Any,
    ) -> Any:
        """The return value; raises the exception of a failure unless ``propagate`` is False.

        None for a task that ended otherwise, such as one that raised ``Ignore``. Raises
        :class:`RuntimeError` for one that waits for the caller's commit.
        """
        if disable_sync_subtasks:
            assert_will_not_block()
        if self._state == states.PENDING:
            raise RuntimeError(
                f"Task {self._name}[{self.id}] runs when the open transaction commits; call "
                f"get() after that (in tests: captureOnCommitCallbacks(execute=True))."
            )
        if self._state == states.SUCCESS:
            return self._result
        if self._state in states.PROPAGATE_STATES:
            if propagate:
                self._throw(self._result)
            return self._result
        return None

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`get`."""
        return self.get(*args, **kwargs)

    async def aget(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`get`, which does not wait here either."""
        return self.get(*args, **kwargs)

    def maybe_throw(self, propagate: bool = True, callback: Any = None) -> Any:
        """The result; raises it if the task failed."""
        if propagate and self._state in states.PROPAGATE_STATES:
            self._throw(self._result)
        if callback is not None:
            callback(self.id, self._result)
        return self._result

    maybe_reraise = maybe_throw

    async def astate(self) -> str:
        """:attr:`state` for asynchronous code."""
        return self._state

    def forget(self) -> None:
        """Nothing is stored."""

    def revoke(self, *args: Any, **kwargs: Any) -> None:
        """Replace the result by a :class:`TaskRevokedError`; the task has run already."""
        self._state = states.REVOKED
        self._result = TaskRevokedError("revoked")
        self._traceback = None

    def settle(self, other: EagerResult[Any]) -> None:
        """Take over what another result has."""
        self._state, self._result, self._traceback = other._state, other._result, other._traceback

    def _end(self) -> str | None:
        return None if self._state == states.PENDING else self._state

    def _is_settled(self) -> bool:
        return True

    def _settled(self, propagate: bool) -> Any:
        return self.get(propagate=propagate, disable_sync_subtasks=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.id, self._result, self._state, self._traceback, self._name)

    def __copy__(self) -> EagerResult[R]:
        return type(self)(self.id, self._result, self._state, self._traceback, self._name)


def apply(
    task: Task[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    retries: int = 0,
    throw: bool | None = None,
) -> EagerResult[Any]:
    """Run a task here through the executor, retries included, and return its result.

    ``options`` are those of a call; times and routes do not count. With ``throw`` (default:
    ``TASK_EAGER_PROPAGATES``) a failure is raised instead.
    """
    if (unknown := unknown_name(options, _APPLY_OPTIONS)) is not None:
        raise unknown_call_option(f"{task.name}.apply()", unknown)
    if throw is None:
        throw = conf.TASK_EAGER_PROPAGATES
    options = {name: value for name, value in options.items() if value is not None}
    task_id = str(options.get("task_id") or new_id())
    executor = EagerExecutor(task)
    while True:
        request = _request(task, task_id, retries, options)
        outcome = executor.run_here(request, args, dict(kwargs))
        if outcome.messages:
            enqueue(outcome.messages, mode=task.enqueue)
        if executor.stores:
            _store(task, task_id, request, outcome)
        plan = _plan_of(outcome)
        if plan is None:
            break
        if plan.args is not None and plan.kwargs is not None:
            args, kwargs = plan.args, plan.kwargs
        options = {**options, **plan.options}
        retries += 1
    error = outcome.error
    if error is not None and isinstance(error.__cause__, (KeyboardInterrupt, SystemExit)):
        # In a worker they end the task. Here they are the caller's: a Ctrl-C must stop it.
        raise error.__cause__
    state = outcome.state
    if throw and error is not None and state in states.PROPAGATE_STATES:
        raise error
    return EagerResult(task_id, outcome.retval, state, outcome.traceback, task.name)


def apply_instead(
    task: Task[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> AsyncResult[Any]:
    """Run a call at once instead of enqueueing it.

    The options are checked as they would be, and the arguments make the trip through JSON. A call
    with ``enqueue="on_commit"`` of its own runs when the caller's transaction commits.
    """
    defaults = calling.Defaults(task.name, task, args, kwargs, options)
    message = calling.build(defaults, args, kwargs, options)
    mode = calling.mode_of(defaults, options)
    handle = calling.handle_of(message, defaults, options)
    if not calling.goes_to_queue(task.name, args, kwargs, options, handle):
        return handle
    given = {**options, "task_id": handle.id, "queue": message.queue, "priority": message.priority}

    def run() -> EagerResult[Any]:
        decoded_args, decoded_kwargs = decode_call(message.payload)
        with denied_join_result():
            return apply(task, decoded_args, decoded_kwargs, given)

    if options.get("enqueue") == "on_commit" and mode == "on_commit":
        pending: EagerResult[Any] = EagerResult(handle.id, None, states.PENDING, name=task.name)
        transaction.on_commit(lambda: pending.settle(run()), using=conf.DATABASE)
        return pending
    return run()


def _request(
    task: Task[..., Any], task_id: str, retries: int, options: Mapping[str, Any]
) -> Context:
    frame = current_frame()
    parent = None if frame is None else frame.request
    if parent is not None and parent.id == task_id:
        # What takes the place of the running task is not its own child.
        parent_id, root_id = parent.parent_id, parent.root_id
    else:
        parent_id = None if parent is None else parent.id
        root_id = None if parent is None else parent.root_id
    hard = options.get("time_limit", task.time_limit)
    soft = options.get("soft_time_limit", task.soft_time_limit)
    headers = options.get("headers")
    return Context(
        id=task_id,
        task=task.name,
        retries=retries,
        called_directly=False,
        is_eager=True,
        hostname=HOSTNAME,
        parent_id=options.get("parent_id", parent_id),
        root_id=options.get("root_id", root_id or task_id),
        callbacks=as_list(options.get("link")) or None,
        errbacks=as_list(options.get("link_error")) or None,
        headers=None if headers is None else dict(headers),
        timelimit=None if hard is None and soft is None else [hard, soft],
        ignore_result=bool(options.get("ignore_result", task.ignore_result)),
        shadow=options.get("shadow"),
        group=options.get("group_id"),
        group_index=options.get("group_index"),
        **_stamps(options),
        argsrepr=options.get("argsrepr"),
        kwargsrepr=options.get("kwargsrepr"),
        logfile=options.get("logfile"),
        loglevel=options.get("loglevel"),
        delivery_info_values={
            "is_eager": True,
            "exchange": options.get("exchange"),
            "routing_key": options.get("queue") or options.get("routing_key"),
            "priority": options.get("priority"),
        },
    )


def _stamps(options: Mapping[str, Any]) -> dict[str, Any]:
    names = options.get("stamped_headers")
    if not names:
        return {}
    stamps = {name: options[name] for name in names if name in options}
    return {"stamped_headers": list(names), "stamps": stamps}


def _plan_of(outcome: Outcome) -> RetryPlan | None:
    """What the next run changes, or None if there is none: countdowns do not count here."""
    if outcome.disposal is not Disposal.RETRY:
        return None
    plan: RetryPlan | None = getattr(outcome.retval, "plan", None)
    return plan if plan is not None else RetryPlan()


def _store(task: Task[..., Any], task_id: str, request: Context, outcome: Outcome) -> None:
    if not outcome.stored or request.ignore_result:
        return
    result = outcome.result
    if result is None and isinstance(outcome.error, BaseException):
        result = encode_exception(outcome.error)
    key, custom_id = to_uuid(task_id)
    store_state(
        key,
        outcome.state,
        result,
        task=task.name,
        custom_id=custom_id,
        traceback=outcome.traceback,
    )
