"""The executor for tasks that run in their caller's process, without a message."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from djtasks import states
from djtasks.execution import calls
from djtasks.execution.executor import Executor
from djtasks.execution.place import Place
from djtasks.execution.request import pop, push
from djtasks.queue.delivery import Delivery
from djtasks.queue.outcome import Disposal, Outcome

if TYPE_CHECKING:
    from djtasks.execution.request import Context
    from djtasks.task import Task


class EagerExecutor(Executor):
    """Runs a task with live arguments; its result is stored only where that is asked for."""

    def __init__(self, task: Task[..., Any]) -> None:
        super().__init__(task, Place(eager=True))
        self.stores = task.store_eager_result

    def run_here(self, request: Context, args: Any, kwargs: dict[str, Any]) -> Outcome:
        """Run the task once, to its end or to a retry; ``args`` stay the list or tuple they are."""
        delivery = Delivery(
            id=b"",
            task=self.task.name,
            payload=None,
            options=None,
            queue="",
            rank=0,
            seq=0,
            retries=request.retries,
            deliveries=0,
            eta=None,
            expires=None,
            deadline=None,
            enqueued=None,
            unknown_for=None,
            custom_id=None,
            root_id=None,
            parent_id=None,
            payload_id=None,
        )
        request.args, request.kwargs = args, kwargs
        token = push(self.task, request)
        try:
            return self._run(request, delivery, args, kwargs, time.perf_counter())
        finally:
            pop(token)

    def completed(self, request: Context, retval: Any, began: float) -> Outcome:
        """The outcome of a run that returned; what is not stored need not be JSON."""
        if self.stores and not (self.ignore_result or request.ignore_result):
            return super().completed(request, retval, began)
        messages = calls.follow(request, request.callbacks, retval) if request.callbacks else None
        return Outcome(
            Disposal.END,
            states.SUCCESS,
            runtime=time.perf_counter() - began,
            retval=retval,
            messages=messages,
        )
