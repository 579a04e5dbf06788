"""Declaring tasks: decorators, names, base classes, class-based tasks."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import pickle
import subprocess
import sys
from typing import Any

import pytest

from djtasks import Task, app, current_task, shared_task
from djtasks.exceptions import DuplicateTaskNameWarning, NotRegistered
from djtasks.registry import registry
from djtasks.task import CoroutineTask
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add as registered_add

pytestmark = pytest.mark.usefixtures("own_registry")


def test_a_bare_decorator_makes_a_registered_task() -> None:
    @shared_task
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert isinstance(add, Task)
    assert add.name == "tests.test_task_declaring.add"
    assert registry[add.name] is add
    assert app.tasks["tests.test_task_declaring.add"] is add
    assert add(1, 2) == 3
    assert add.__doc__ == "Add."
    assert add.__name__ == "add"
    assert add.__module__ == __name__
    assert repr(add).startswith("<@task: tests.test_task_declaring.add of djtasks at 0x")


def test_a_decorator_with_options_makes_them_attributes() -> None:
    @shared_task(max_retries=7, queue="mail", count=0)
    def send() -> None: ...

    assert send.max_retries == 7
    assert send.queue == "mail"
    assert send.count == 0  # type: ignore[attr-defined]


def test_the_app_decorator_makes_the_same_and_takes_celerys_extra_options() -> None:
    @app.task(shared=False, lazy=False, filter=lambda task: (task, "filtered"))
    def one() -> int:
        return 1

    filtered: Any = one
    task, mark = filtered
    assert (task(), mark) == (1, "filtered")

    @app.task
    def two() -> int:
        return 2

    assert two() == 2


def test_a_name_given_is_the_registry_key() -> None:
    @shared_task(name="mail.send")
    def send() -> None: ...

    assert registry["mail.send"] is send


def test_main_stands_for_the_script_in_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert app.gen_task_name("add", "__main__") == "__main__.add"
    monkeypatch.setattr(app, "main", "proj")
    assert app.gen_task_name("add", "__main__") == "proj.add"
    assert app.gen_task_name("add", "shop.tasks") == "shop.tasks.add"


def test_a_bound_task_gets_itself_first() -> None:
    @shared_task(bind=True)
    def who(self: Task[..., Any], x: int) -> tuple[str, int]:
        return self.name, x

    assert who(3) == (who.name, 3)
    assert who.bind is True


def test_a_task_of_a_task_is_an_error() -> None:
    with pytest.raises(TypeError, match="is a task already: remove one of the decorators"):
        shared_task(registered_add)


def test_a_task_of_a_class_or_of_no_function_is_an_error() -> None:
    with pytest.raises(TypeError, match="register_task"):
        shared_task(type("Thing", (), {}))
    with pytest.raises(TypeError, match="must be a callable"):
        shared_task(42)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="takes one function"):
        shared_task(len, len)  # type: ignore[call-overload]


def test_a_callable_without_a_name_needs_one() -> None:
    partial = functools.partial(pow, 2)
    with pytest.raises(TypeError, match="name="):
        shared_task(partial)
    task = shared_task(name="math.pow2")(partial)
    assert task(5) == 32


def test_the_same_function_registered_again_is_the_same_task(
    recwarn: pytest.WarningsRecorder,
) -> None:
    def work() -> None: ...

    assert shared_task(work) is shared_task(work)
    assert not recwarn.list
    assert not registry.duplicates.get("tests.test_task_declaring.work")


def test_another_function_of_a_taken_name_warns_once_and_the_first_stays() -> None:
    @shared_task(name="taken")
    def first() -> int:
        return 1

    def second() -> int:
        return 2

    def third() -> int:
        return 3

    with pytest.warns(DuplicateTaskNameWarning, match="'taken'.*first.*second") as warned:
        assert [shared_task(name="taken")(f) for f in (second, third)] == [first, first]
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert registry["taken"]() == 1
    names = [claim.rpartition(".")[2] for claim in registry.duplicates["taken"]]
    assert names == ["first", "second", "third"]


def test_a_base_class_carries_options_methods_and_state_of_the_process() -> None:
    class Counting(Task[..., Any]):
        max_retries = 9
        autoretry_for = (OSError,)
        calls = 0

        def counted(self) -> int:
            self.calls += 1
            return self.calls

    @shared_task(bind=True, base=Counting)
    def work(self: Counting) -> int:
        return self.counted()

    @shared_task(bind=True, base=Counting, max_retries=1)
    def other(self: Counting) -> int:
        return self.counted()

    assert (work(), work(), other()) == (1, 2, 1)
    assert (work.max_retries, other.max_retries) == (9, 1)
    assert work.autoretry_for == (OSError,)


def test_a_base_that_is_no_task_class_is_an_error() -> None:
    with pytest.raises(TypeError, match="base must be a subclass"):
        shared_task(base=int)(lambda: None)


def test_a_class_based_task_is_registered_with_a_name_of_its_own() -> None:
    class Resize(Task[[int], int]):
        def run(self, width: int) -> int:
            return width * 2

    resize = app.register_task(Resize)
    assert resize.name == "tests.test_task_declaring.Resize"
    assert registry[resize.name] is resize
    assert resize(4) == 8
    assert resize.app is app

    class Named(Task[[], int]):
        name = "image.named"

        def run(self) -> int:
            return 1

    instance = Named()
    assert app.register_task(instance, queue="images") is instance
    assert registry["image.named"].queue == "images"


def test_a_class_based_task_replaces_the_one_of_its_name_with_a_warning() -> None:
    class First(Task[[], int]):
        name = "replaced"

        def run(self) -> int:
            return 1

    class Second(First):
        def run(self) -> int:
            return 2

    app.register_task(First)
    with pytest.warns(DuplicateTaskNameWarning, match="replaces"):
        app.register_task(Second)
    assert registry["replaced"]() == 2


def test_a_class_without_run_says_so() -> None:
    class Nothing(Task[..., Any]):
        pass

    nothing = app.register_task(Nothing)
    with pytest.raises(NotImplementedError, match="Tasks must define the run method"):
        nothing()


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"enqueue": "later"}, "option enqueue must be"),
        ({"queue": lambda self: None}, "option queue must be"),
        ({"max_retries": "3"}, "option max_retries must be"),
        ({"option": 1}, "Wrong.option would hide"),
        ({"is_async": True}, "Wrong.is_async would hide"),
        ({"request": None}, "Wrong.request would hide"),
    ],
)
def test_what_is_wrong_with_a_class_is_found_when_it_is_made(
    attributes: dict[str, Any], text: str
) -> None:
    with pytest.raises(TypeError, match=text):
        type("Wrong", (Task,), attributes)


def test_a_class_may_compute_an_option() -> None:
    class Computed(Task[[], str]):
        throws = KeyError  # type: ignore[assignment]

        @property
        def queue(self) -> str:  # type: ignore[override]
            return "computed"

        def run(self) -> str:
            return ""

        def refresh(self) -> None: ...

        header = "of its own"

    task: Any = app.register_task(Computed)
    assert task.queue == "computed"
    assert task.throws == (KeyError,)


def test_a_task_that_is_not_registered_cannot_be_called_by_name() -> None:
    class Work(Task[[], None]):
        def run(self) -> None: ...

    with pytest.raises(ValueError, match="is not registered"):
        Work().delay()


def test_an_async_function_is_a_task_whose_direct_call_is_a_coroutine() -> None:
    @shared_task
    async def work(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    assert isinstance(work, CoroutineTask)
    assert work.is_async
    assert asyncio.run(work(1)) == 2
    assert not registered_add.is_async


def test_an_async_task_has_its_request_while_it_is_awaited() -> None:
    @shared_task(bind=True)
    async def work(self: Task[..., Any]) -> Any:
        before = self.request.args
        await asyncio.sleep(0)
        return before, self.request.args, current_task.name

    assert asyncio.run(work()) == ((), (), work.name)
    assert not current_task


def test_an_async_method_makes_an_async_task() -> None:
    class Work(Task[[], int]):
        async def run(self) -> int:  # type: ignore[override]
            return 5

    assert app.register_task(Work).is_async


def test_tasks_look_like_their_functions() -> None:
    @shared_task
    def add(a: int, b: int = 2) -> int:
        return a + b

    assert str(inspect.signature(add)) == "(a: 'int', b: 'int' = 2) -> 'int'"

    @functools.wraps(add)
    def wrapper() -> None: ...

    assert wrapper.__name__ == "add"
    assert wrapper.__qualname__.endswith("<locals>.add")


def test_a_task_is_pickled_and_copied_as_itself() -> None:
    assert pickle.loads(pickle.dumps(registered_add)) is registered_add
    assert copy.deepcopy(registered_add) is registered_add


def test_an_unknown_name_is_not_registered() -> None:
    with pytest.raises(NotRegistered, match="never registered"):
        app.tasks["no.such.task"]
    assert app.tasks.get("no.such.task") is None
    assert "no.such.task" not in app.tasks


def test_handlers_may_be_given_as_options() -> None:
    seen: list[Any] = []

    def on_failure(self: Task[..., Any], exc: BaseException, *rest: Any) -> None:
        seen.append((self.name, exc))

    @shared_task(on_failure=on_failure)
    def work() -> None: ...

    error = ValueError("x")
    work.on_failure(error, "id", (), {}, None)  # type: ignore[arg-type]
    assert seen == [(work.name, error)]
    assert work.overrides == {"on_failure"}


def test_overrides_name_what_a_class_or_a_patch_has_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Handled(Task[..., Any]):
        def before_start(self, *args: Any) -> None: ...

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return super().__call__(*args, **kwargs)

    @shared_task(base=Handled)
    def work() -> None: ...

    assert work.overrides == {"before_start", "__call__"}
    monkeypatch.setattr(work, "on_success", lambda *args: None)
    assert "on_success" in work.overrides
    assert registered_add.overrides == frozenset()


def test_the_package_can_be_imported_before_django_is_set_up() -> None:
    code = """
import djtasks
from djtasks import *

@shared_task
def add(a, b):
    return a + b

assert add(1, 2) == 3
assert add.s(1) == {"task": "__main__.add", "args": (1,), "kwargs": {}, "options": {},
                    "subtask_type": None, "immutable": False}
from django.conf import settings
assert not settings.configured
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={})
