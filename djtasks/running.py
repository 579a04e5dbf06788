"""What a running task can ask and do: its request, another try, a state of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, cast

from djtasks import retrying
from djtasks.attributes import Options
from djtasks.codec import encode_exception, encode_result
from djtasks.exceptions import MaxRetriesExceededError, Retry
from djtasks.execution.request import Context, current_frame, drop_innermost, push
from djtasks.execution.retry import exhausted
from djtasks.ids import to_uuid
from djtasks.queue.aborting import requested
from djtasks.queue.state import store_state

if TYPE_CHECKING:
    from datetime import datetime

    from djtasks.canvas.signature import Signature
    from djtasks.result import AsyncResult
    from djtasks.task import Task


class Running(Options):
    """The part of a task that is about the run it is in."""

    MaxRetriesExceededError = MaxRetriesExceededError

    @property
    def request(self) -> Context:
        """The request of the innermost run of this task in this thread or coroutine.

        Outside of any run it is one with the defaults, which a test may change.
        """
        frame = current_frame()
        while frame is not None:
            if frame.task is self:
                return frame.request
            frame = frame.parent
        return self._default_request

    @cached_property
    def _default_request(self) -> Context:
        return Context()

    def push_request(self, *args: Any, **kwargs: Any) -> None:
        """Pretend that a run with these request attributes began; see :meth:`pop_request`."""
        values = {**vars(self.request), **dict(*args), **kwargs}
        if "delivery_info" in values:
            values["delivery_info_values"] = values.pop("delivery_info")
        push(self._as_task(), Context(**values))

    def pop_request(self) -> None:
        """End the run that :meth:`push_request` pretended."""
        drop_innermost()

    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """Run the task again later, as the same task with one retry more.

        It waits until ``eta``, or ``countdown`` seconds, or else ``default_retry_delay``. New
        ``args`` or ``kwargs`` replace those of the call, and ``options`` those of
        :data:`djtasks.options.RETRY_OPTIONS`. ``max_retries`` holds for this attempt.

        Raises :class:`Retry`, which ends the run (write ``raise self.retry()`` to show that),
        or with ``throw=False`` returns it. When no retry is left, and where the task was called
        directly, raises ``exc`` instead, or :class:`MaxRetriesExceededError`.
        """
        task = self._as_task()
        request = self.request
        if max_retries is None:
            max_retries = self.max_retries
        else:
            request.update(override_max_retries=max_retries)
        if request.called_directly:
            _raise_in_context(exc or Retry("Task can be retried"))
        new_args, new_kwargs = retrying.arguments(task, request, args, kwargs)
        if exhausted(request.retries, max_retries):
            if exc is not None:
                _raise_in_context(exc)
            raise self.MaxRetriesExceededError(
                f"Can't retry {self.name}[{request.id}] args:{new_args} kwargs:{new_kwargs}",
                task_args=new_args,
                task_kwargs=new_kwargs,
            )
        retry = retrying.retry_of(
            task,
            request,
            exc=exc,
            arguments=None if args is None and kwargs is None else (new_args, new_kwargs),
            eta=eta,
            countdown=countdown,
            options=options,
        )
        if throw:
            raise retry
        if not request.is_eager:
            request.update(retry_plan=retry.plan)
        return retry

    def update_state(
        self,
        task_id: str | None = None,
        state: str | None = None,
        meta: Any = None,
        **kwargs: Any,
    ) -> None:
        """Store a state of your own, and what goes with it, for the running task or another.

        ``meta`` is what ``AsyncResult.info`` gives: anything that JSON can carry, or an
        exception. Nothing is stored for a task that was called directly, and for an eager one
        only with ``TASK_STORE_EAGER_RESULT``. Raises :class:`ValueError` without a state, and
        outside of any run without a ``task_id``.
        """
        if not isinstance(state, str) or not state:
            raise ValueError(f"update_state() of task {self.name} needs a state, not {state!r}.")
        request = self.request
        if task_id is None:
            if request is self._default_request and request.id is None:
                raise ValueError(
                    f"update_state() of task {self.name} was called outside of a run: say whose "
                    f"state it is with task_id=."
                )
            if request.called_directly or (request.is_eager and not self.store_eager_result):
                return
            task_id = request.id or ""
        key, custom_id = to_uuid(task_id)
        if isinstance(meta, BaseException):
            stored = encode_exception(meta)
        else:
            stored = encode_result(meta, what=f"the meta of state {state} of task {self.name!r}")
        store_state(
            key,
            state,
            stored,
            task=self.name,
            custom_id=custom_id,
            traceback=kwargs.get("traceback"),
        )

    def is_aborted(self) -> bool:
        """Whether somebody has asked the running task to end: it should return soon.

        Asked by ``AbortableAsyncResult.abort()``, or by terminating it where no process can be
        killed for it (the pools threads and solo). After the latter the task ends as REVOKED,
        whatever it returns or raises once this was true. Each call is a query: ask a few times a
        second.
        """
        request = self.request
        if request.called_directly or request.is_eager or request.id is None:
            return False
        if request.abort is None:
            request.abort = requested(to_uuid(request.id)[0])
        return request.abort is not None

    def replace(self, sig: Signature[Any]) -> Any:
        """Let another signature take the running task's place, as in Celery.

        It has the task's id, its callbacks and errbacks, and what waits for this task waits for
        it; of a group that is the list of its results. In a worker this raises :class:`Ignore`,
        which ends the run; in an eager run it returns the value of ``sig``. So write
        ``return self.replace(…)``.

        Raises :class:`ImproperlyConfigured` for an empty chain and for a part of a chord.
        """
        from djtasks.canvas.replace import replacing

        return self.on_replace(replacing(self.request, sig))

    def on_replace(self, sig: Signature[Any]) -> Any:
        """Called by :meth:`replace` with what takes the task's place: a copy, with its links.

        This is what does it, so a task of your own class that overrides it ends with
        ``return super().on_replace(sig)``.
        """
        from djtasks.canvas.replace import replace

        return replace(self.request, sig)

    def add_to_chord(self, sig: Signature[Any], lazy: bool = False) -> AsyncResult[Any]:
        """Add a member to the chord whose header the running task is in; its result comes last.

        Raises :class:`ValueError` outside of a chord's header, and :class:`NotImplementedError`
        for ``lazy``.
        """
        from djtasks.canvas.replace import add_to_chord

        if lazy:
            raise NotImplementedError(
                "add_to_chord(lazy=True) would let the chord wait for a message that is not there. "
                "Add the signature when it shall be sent, or with a countdown."
            )
        return cast("AsyncResult[Any]", add_to_chord(self.request, sig))

    def _as_task(self) -> Task[..., Any]:
        return cast("Task[..., Any]", self)

    def add_trail(self, result: AsyncResult[Any]) -> AsyncResult[Any]:
        """Note a call in the children of the running task, if the task keeps a trail."""
        if self.trail:
            self.request.children.append(result)
        return result


def _raise_in_context(exc: BaseException) -> NoReturn:
    """Raise ``exc`` with the exception that is being handled as its cause, or that one itself."""
    current = sys.exc_info()[1]
    if current is None or current is exc:
        raise exc
    raise exc from current
