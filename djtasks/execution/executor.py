"""Runs one claimed message and says what became of it.

The order of handlers and signals is Celery's; the state is stored by whoever takes the outcome,
in the commit that ends the message.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from djtasks import signals, states
from djtasks.codec import decode_call, encode_exception, encode_result
from djtasks.exceptions import (
    Ignore,
    Reject,
    Replaced,
    Retry,
    TaskRevokedError,
    TimeLimitExceeded,
    WorkerLostError,
)
from djtasks.execution import atomic, calls, lost, report
from djtasks.execution.connections import after_coroutine
from djtasks.execution.einfo import ExceptionInfo
from djtasks.execution.limits import can_interrupt, soft_limit, within
from djtasks.execution.place import Heeded, Place
from djtasks.execution.request import Context, pop, push
from djtasks.execution.retry import RetryPlan, wants_autoretry
from djtasks.queue.outcome import Disposal, Outcome

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from djtasks.queue.delivery import Delivery
    from djtasks.task import Task

REQUEUE_DELAY = 1.0
"""Seconds before a message is claimed again that its task rejected with ``requeue=True``."""


class Executor:
    """Runs messages of one task; what the task's options say is read once."""

    def __init__(self, task: Task[..., Any], place: Place) -> None:
        self.task = task
        self.place = place
        self.ignore_result = bool(task.option("ignore_result"))
        self.store_errors = bool(task.option("store_errors_even_if_ignored"))
        self.atomic = bool(task.option("atomic")) and not place.eager
        self.soft_time_limit = (
            place.soft_limits.get(task.name)
            or task.option("soft_time_limit")
            or place.soft_time_limit
        )
        self.autoretry_for: tuple[type[BaseException], ...] = tuple(task.option("autoretry_for"))
        self.overrides = task.overrides
        self.is_async = task.is_async
        self.run = task.__call__ if "__call__" in task.overrides else task.run

    def __call__(self, delivery: Delivery) -> Outcome:
        """Run one message to its end."""
        return self.run_request(Context.of_delivery(delivery, self.place.hostname), delivery)

    def run_request(self, request: Context, delivery: Delivery) -> Outcome:
        """Run one message whose request is made already."""
        task = self.task
        token = push(task, request)
        began = time.perf_counter()
        try:
            try:
                args, kwargs = decode_call(calls.payload_of(delivery))
                request.args = args
                request.kwargs = kwargs
                deadline = delivery.deadline
                if deadline is not None and deadline <= time.monotonic():
                    return self._revoked(request, "expired")
            except Exception as error:
                request.args, request.kwargs = [], {}
                return self._failed(request, error, began)
            return self._run(request, delivery, args, kwargs, began)
        finally:
            pop(token)

    def lose(self, delivery: Delivery, error: BaseException, verdict: lost.Verdict) -> Outcome:
        """Record what became of a message whose worker or child is gone, with its handlers."""
        request = Context.of_delivery(delivery, self.place.hostname)
        token = push(self.task, request)
        began = time.perf_counter()
        try:
            try:
                request.args, request.kwargs = decode_call(calls.payload_of(delivery))
            except Exception as decode_error:
                request.args, request.kwargs = [], {}
                error.__context__ = decode_error
            if verdict is lost.Verdict.RETRY:
                countdown = self.task.option("default_retry_delay")
                retry = Retry(exc=error if isinstance(error, Exception) else None, when=countdown)
                outcome = self._retried(request, retry, RetryPlan(countdown=countdown), began)
            else:
                outcome = self._failed(request, error, began)
            # What was measured here is the recording; the run itself nobody saw the end of.
            outcome.runtime = error.args[0] if isinstance(error, TimeLimitExceeded) else None
            return outcome
        finally:
            pop(token)

    def terminated(self, delivery: Delivery, signum: int, seconds: float | None) -> Outcome:
        """Record that the child was killed to end a message, which had run for ``seconds``."""
        request = Context.of_delivery(delivery, self.place.hostname)
        token = push(self.task, request)
        try:
            request.args, request.kwargs = decode_call(delivery.payload or "[[],{}]")
            return self._revoked(request, "terminated", signum, seconds)
        finally:
            pop(token)

    def _run(
        self,
        request: Context,
        delivery: Delivery,
        args: list[Any],
        kwargs: dict[str, Any],
        began: float,
    ) -> Outcome:
        task = self.task
        task_id = request.id
        state: str | None = None
        retval: Any = None
        if signals.task_prerun.receivers:
            signals.task_prerun.emit(task, task_id=task_id, task=task, args=args, kwargs=kwargs)
        try:
            try:
                if self.atomic:
                    outcome = atomic.run(self, request, delivery, args, kwargs, began)
                else:
                    retval = self.call(request, args, kwargs)
                    outcome = self.completed(request, retval, began)
                if outcome.error is None and outcome.replacement is None:
                    self._succeeded(request, outcome)
            except Retry as retry:
                outcome = self._retried(request, retry, calls.plan_of(task, retry), began)
            except Heeded:
                outcome = self._revoked(
                    request, "terminated", runtime=time.perf_counter() - began, terminated=True
                )
            except Replaced:
                outcome = calls.replaced(request)
            except Ignore:
                report.ignored(task, request)
                state = states.IGNORED
                return Outcome(Disposal.END, state, stored=False)
            except Reject as reject:
                outcome = self._rejected(request, reject, began)
            except (SystemExit, KeyboardInterrupt) as error:
                outcome = self._exited(request, delivery, error, began)
            except BaseException as error:
                outcome = self._failed(request, error, began)
            state, retval = outcome.state, outcome.retval
            if request.retry_plan is not None and outcome.disposal is Disposal.END:
                # retry(throw=False): this run's own state is stored, and the message goes back.
                outcome.disposal = Disposal.RETRY
                outcome.again = calls.changes(task, request, request.retry_plan)
            return outcome
        finally:
            if signals.task_postrun.receivers:
                signals.task_postrun.emit(
                    task,
                    task_id=task_id,
                    task=task,
                    args=args,
                    kwargs=kwargs,
                    retval=retval,
                    state=state,
                )

    def call(self, request: Context, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call the task's own code within its limits.

        Raises :class:`Heeded` if it was asked to end as revoked, and knew.
        """
        try:
            return self._call(request, args, kwargs)
        finally:
            if request.abort == states.REVOKED:
                # Whatever it returned or raised.
                raise Heeded

    def _call(self, request: Context, args: list[Any], kwargs: dict[str, Any]) -> Any:
        task = self.task
        if "before_start" in self.overrides:
            task.before_start(request.id or "", args, kwargs)
        limit = request.soft_time_limit or self.soft_time_limit
        try:
            if self.is_async:
                return self._coroutine(self.run(*args, **kwargs), limit)
            if limit is None or self.place.eager or not can_interrupt():
                return self.run(*args, **kwargs)
            with soft_limit(limit):
                return self.run(*args, **kwargs)
        except Exception as error:
            # Only what the body raises asks for another try, as in Celery; not a result that
            # cannot be stored.
            if self.autoretry_for and wants_autoretry(task, error):
                calls.autoretry(task, request, error)
            raise

    def _coroutine(self, body: Coroutine[Any, Any, Any], limit: float | None = None) -> Any:
        return self.place.coroutine(self._await(body, limit))

    async def _await(self, body: Coroutine[Any, Any, Any], limit: float | None) -> Any:
        try:
            return await within(body, limit)
        finally:
            if not self.place.eager and not self.place.shares_transaction:
                await after_coroutine(self.task.name)

    def completed(self, request: Context, retval: Any, began: float) -> Outcome:
        """The outcome of a run that returned: what it links to, and its result."""
        task = self.task
        messages = calls.follow(request, request.callbacks, retval) if request.callbacks else None
        stored = not (self.ignore_result or request.ignore_result)
        result = None
        if stored or request.feeds:
            result = encode_result(retval, what=f"the result of task {task.name}")
        return Outcome(
            Disposal.END,
            states.SUCCESS,
            stored=stored,
            result=result,
            runtime=time.perf_counter() - began,
            children=calls.children_of(request),
            retval=retval,
            messages=messages,
        )

    def _succeeded(self, request: Context, outcome: Outcome) -> None:
        task, retval, runtime = self.task, outcome.retval, outcome.runtime or 0.0
        if "on_success" in self.overrides:
            report.guard(task, "on_success", retval, request.id, request.args, request.kwargs)
        if signals.task_success.receivers:
            signals.task_success.emit(task, result=retval, runtime=runtime)
        report.succeeded(task, request, retval, runtime)
        self._after_return(states.SUCCESS, retval, request)

    def _failed(self, request: Context, error: BaseException, began: float) -> Outcome:
        task = self.task
        einfo = ExceptionInfo(error)
        stored = self.store_errors or not (self.ignore_result or request.ignore_result)
        messages = calls.errbacks(request, error, einfo, self._coroutine)
        outcome = Outcome(
            Disposal.END,
            states.FAILURE,
            stored=stored,
            result=encode_exception(error) if stored else None,
            traceback=einfo.traceback if stored else None,
            exception=type(error).__qualname__,
            runtime=time.perf_counter() - began,
            children=calls.children_of(request),
            retval=error,
            error=error,
            messages=messages,
        )
        args, kwargs = request.args, request.kwargs
        if "on_failure" in self.overrides:
            report.guard(task, "on_failure", error, request.id, args, kwargs, einfo)
        signals.task_failure.emit(
            task,
            task_id=request.id,
            exception=error,
            args=args,
            kwargs=kwargs,
            traceback=einfo.tb,
            einfo=einfo,
        )
        report.failed(task, request, error, einfo)
        self._after_return(states.FAILURE, error, request)
        if not self.place.eager:
            einfo.clear()
        return outcome

    def _retried(self, request: Context, retry: Retry, plan: RetryPlan, began: float) -> Outcome:
        task = self.task
        error = retry.exc if isinstance(retry.exc, BaseException) else retry
        einfo = ExceptionInfo(error)
        stored = not (self.ignore_result or request.ignore_result)
        outcome = Outcome(
            Disposal.RETRY,
            states.RETRY,
            stored=stored,
            result=encode_exception(error) if stored else None,
            traceback=einfo.traceback if stored else None,
            exception=type(error).__qualname__,
            runtime=time.perf_counter() - began,
            children=calls.children_of(request),
            retval=retry,
            error=retry,
            again=calls.changes(task, request, plan),
        )
        if "on_retry" in self.overrides:
            report.guard(
                task, "on_retry", retry.exc, request.id, request.args, request.kwargs, einfo
            )
        signals.task_retry.emit(task, request=request, reason=retry, einfo=einfo)
        report.retried(task, request, retry)
        if not self.place.eager:
            einfo.clear()
        return outcome

    def _rejected(self, request: Context, reject: Reject, began: float) -> Outcome:
        task = self.task
        report.rejected(task, request, reject)
        signals.task_rejected.emit(task, message=request, exc=reject)
        if reject.requeue:
            # Not at once: what cannot be done now should not keep a worker busy with trying.
            return Outcome(
                Disposal.RELEASE,
                states.REJECTED,
                delay=REQUEUE_DELAY,
                lost_deliveries=1,
                retval=reject,
            )
        stored = self.store_errors or not (self.ignore_result or request.ignore_result)
        einfo = ExceptionInfo(reject)
        signals.task_failure.emit(
            task,
            task_id=request.id,
            exception=reject,
            args=request.args,
            kwargs=request.kwargs,
            traceback=einfo.tb,
            einfo=einfo,
        )
        return Outcome(
            Disposal.END,
            states.FAILURE,
            stored=stored,
            result=encode_exception(reject) if stored else None,
            traceback=einfo.traceback,
            exception="Reject",
            runtime=time.perf_counter() - began,
            retval=reject,
            error=reject,
        )

    def _exited(
        self, request: Context, delivery: Delivery, error: BaseException, began: float
    ) -> Outcome:
        """``sys.exit()`` in a task counts as the loss of its child, without losing the child."""
        cause = WorkerLostError(f"The task left its worker with {error!r}.")
        cause.__cause__ = error
        verdict = lost.verdict_of_task(self.task, lost.Cause.CHILD, delivery)
        match verdict:
            case lost.Verdict.REDELIVER:
                return Outcome(Disposal.RELEASE, states.REJECTED, lost_deliveries=1, retval=cause)
            case lost.Verdict.RETRY:
                countdown = self.task.option("default_retry_delay")
                retry = Retry(exc=cause, when=countdown)
                return self._retried(request, retry, RetryPlan(countdown=countdown), began)
            case _:
                return self._failed(request, cause, began)

    def _revoked(
        self,
        request: Context,
        reason: str,
        signum: int | None = None,
        runtime: float | None = None,
        *,
        terminated: bool = False,
    ) -> Outcome:
        task = self.task
        error = TaskRevokedError(reason)
        stored = self.store_errors or not (self.ignore_result or request.ignore_result)
        report.revoked(task, request, reason)
        terminated = terminated or signum is not None
        signals.task_revoked.emit(
            task, request=request, terminated=terminated, signum=signum, expired=not terminated
        )
        return Outcome(
            Disposal.END,
            states.REVOKED,
            stored=stored,
            result=encode_exception(error) if stored else None,
            exception="TaskRevokedError",
            runtime=runtime,
            retval=error,
            error=error,
        )

    def _after_return(self, state: str, retval: Any, request: Context) -> None:
        if "after_return" in self.overrides:
            given = (request.id, request.args, request.kwargs, None)
            report.guard(self.task, "after_return", state, retval, *given)
