"""Tasks that change the workflow that they run in."""

from __future__ import annotations

from typing import Any

from djtasks import Signature, Task, chain, group, shared_task, signature
from tests.testapp.models import Note


@shared_task(bind=True)
def become(self: Task[..., Any], *given: Any, what: dict[str, Any]) -> Any:
    """Let another signature take the place of this task."""
    Note.objects.create(text="became")
    return self.replace(signature(what))


@shared_task(bind=True, atomic=True)
def become_atomically(self: Task[..., Any], what: dict[str, Any]) -> Any:
    """Write a row, and let another signature take the place of this task."""
    Note.objects.create(text="became")
    return self.replace(signature(what))


@shared_task(bind=True)
def countdown_by_replacing(self: Task[..., Any], number: int) -> Any:
    """Replace itself until nothing is left, and say how often that was."""
    if number:
        return self.replace(self.s(number - 1))
    return self.request.replaced_task_nesting


class Noting(Task[..., Any]):
    """Writes down what replaces it."""

    def on_replace(self, sig: Signature[Any]) -> Any:
        """Write a row, and let it happen."""
        Note.objects.create(text=f"replaced by {sig.task}")
        return super().on_replace(sig)


@shared_task(bind=True, base=Noting)
def become_and_note(self: Noting, what: dict[str, Any]) -> Any:
    """Let another signature take the place of this task."""
    return self.replace(signature(what))


@shared_task(bind=True)
def nesting(self: Task[..., Any], *given: Any) -> int:
    """How often something was replaced by what this is in."""
    return self.request.replaced_task_nesting


@shared_task(bind=True)
def widen(self: Task[..., Any], value: int, more: int = 1, lazy: bool = False) -> int:
    """Add members to the chord that this task is in."""
    for number in range(more):
        self.add_to_chord(double.s(value + number), lazy=lazy)
    return value


@shared_task
def double(number: int) -> int:
    """Twice the number."""
    return number * 2


@shared_task
def total(numbers: list[int]) -> int:
    """Add up a list."""
    return sum(numbers)


@shared_task
def refuse(*args: Any) -> None:
    """Fail."""
    raise ValueError("refused")


@shared_task
def jot(*args: Any) -> None:
    """Write down the last argument."""
    Note.objects.create(text=str(args[-1]))


@shared_task(bind=True)
def look_ahead(self: Task[..., Any], *args: Any) -> list[str]:
    """The names of the tasks that follow, or that of the chord's body."""
    request = self.request
    ahead: list[Signature[Any]] = list(request.chain or ())
    if request.chord is not None:
        ahead.append(request.chord)
    return [step.task for step in ahead]


@shared_task(bind=True)
def look_at_options(self: Task[..., Any]) -> dict[str, Any]:
    """The options of the task that follows."""
    following = self.request.chain or []
    return dict(following[0].options)


@shared_task(bind=True)
def call_others(self: Task[..., Any]) -> str:
    """Send a chain and a group from inside a task."""
    chain(double.s(1), double.s()).apply_async()
    group(double.s(5), double.s(6)).apply_async()
    return "called"
