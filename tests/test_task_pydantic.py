"""Tasks with pydantic models: validated where they run, dumped where they are called."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Optional

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from djtasks import Task, app, enqueue_many, shared_task
from djtasks.exceptions import EncodeError, ImproperlyConfigured
from djtasks.testing import capture_tasks, run_tasks
from tests.own_registry import own_registry  # noqa: F401

if TYPE_CHECKING:
    from no_such_module import Nowhere  # type: ignore[import-not-found]

pytestmark = pytest.mark.usefixtures("own_registry")


class Order(BaseModel):
    id: int
    note: str = ""


class Special(Order):
    extra: int = 1


class Receipt(BaseModel):
    total: int


seen: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


def note(order: Order, other: Order | None = None, *rest: Any, count: int = 0) -> Receipt:
    seen.append((order, other, rest, count))
    return Receipt(total=order.id)


def test_arguments_are_validated_and_a_returned_model_is_dumped() -> None:
    task = shared_task(pydantic=True)(note)
    assert task.apply(({"id": "5"},)).get() == {"total": 5}
    assert seen == [(Order(id=5), None, (), 0)]
    assert task.apply(({"id": 1}, {"id": 2}, {"id": 3}), {"count": 4}).get() == {"total": 1}
    assert seen[1] == (Order(id=1), Order(id=2), ({"id": 3},), 4)
    assert task({"id": 7}) == {"total": 7}  # type: ignore[arg-type, comparison-overlap]


def test_an_argument_that_is_not_valid_fails_the_task() -> None:
    result = shared_task(pydantic=True)(note).apply(({"id": "x"},))
    assert isinstance(result.result, ValidationError)


def test_strict_validation_takes_no_text_for_a_number() -> None:
    result = shared_task(pydantic=True, pydantic_strict=True)(note).apply(({"id": "5"},))
    assert isinstance(result.result, ValidationError)


def test_optional_models_may_be_none_in_both_spellings() -> None:
    @shared_task(pydantic=True)
    def work(a: Optional[Order], b: Order | None) -> Any:  # noqa: UP045 - on purpose
        return [a, b]

    assert work.apply((None, None)).get() == [None, None]
    assert work.apply(({"id": 1}, {"id": 2})).get() == [Order(id=1), Order(id=2)]


def test_validators_get_the_context() -> None:
    contexts: list[Any] = []

    class Checked(BaseModel):
        id: int

        @field_validator("id")
        @classmethod
        def check(cls, value: int, info: ValidationInfo) -> int:
            contexts.append(info.context)
            return value

    def work(checked: Any) -> None: ...

    work.__annotations__["checked"] = Checked
    task = shared_task(pydantic=True, pydantic_context={"tenant": 3}, name="ctx")(work)
    task.apply(({"id": 1},))
    assert contexts == [{"tenant": 3, "celery_app": app, "celery_task_name": "ctx"}]


def test_the_dump_of_a_result_can_be_shaped() -> None:
    task = shared_task(pydantic=True, pydantic_dump_kwargs={"exclude": {"total"}})(note)
    assert task.apply(({"id": 5},)).get() == {}


def test_a_result_of_another_class_is_left_as_it_is() -> None:
    @shared_task(pydantic=True)
    def work() -> Receipt:
        return Order(id=1)  # type: ignore[return-value]

    assert work.apply().get() == Order(id=1)


@pytest.mark.django_db
def test_models_passed_by_a_caller_make_the_trip() -> None:
    task = shared_task(pydantic=True)(note)
    with capture_tasks(insert=True) as calls:
        task.delay(Order(id=5, note="x"), count=2)
        task.apply_async((Order(id=6),), {"other": Order(id=7)})
        enqueue_many([(task, (Order(id=8),))])
    assert [(list(call.args), dict(call.kwargs)) for call in calls] == [
        ([{"id": 5, "note": "x"}], {"count": 2}),
        ([{"id": 6, "note": ""}], {"other": {"id": 7, "note": ""}}),
        ([{"id": 8, "note": ""}], {}),
    ]
    run_tasks(propagate=True)
    assert seen == [
        (Order(id=5, note="x"), None, (), 2),
        (Order(id=6), Order(id=7), (), 0),
        (Order(id=8), None, (), 0),
    ]
    assert [call.result.get() for call in calls] == [{"total": 5}, {"total": 6}, {"total": 8}]


def test_a_bound_task_takes_models_after_itself() -> None:
    @shared_task(pydantic=True, bind=True)
    def work(self: Task[..., Any], order: Order) -> str:
        return f"{self.name} {order.id}"

    assert work.apply(({"id": 1},)).get() == f"{work.name} 1"
    with capture_tasks() as calls:
        work.delay(Order(id=2))
    assert list(calls[0].args) == [{"id": 2, "note": ""}]


def test_an_async_task_takes_models() -> None:
    @shared_task(pydantic=True)
    async def work(order: Order) -> Receipt:
        await asyncio.sleep(0)
        return Receipt(total=order.id)

    assert work.is_async
    assert work.apply(({"id": 3},)).get() == {"total": 3}


def test_a_model_that_would_not_arrive_as_it_is_is_refused() -> None:
    task = shared_task(pydantic=True)(note)
    with pytest.raises(EncodeError, match=r"args\[0\]"):
        task.delay(Special(id=1))
    with pytest.raises(EncodeError):
        task.delay(Order(id=1), None, Order(id=2))


def test_a_model_that_does_not_take_its_own_dump_says_so() -> None:
    class Closed(BaseModel):
        model_config = ConfigDict(strict=True, extra="forbid")
        id: int

        @field_validator("id")
        @classmethod
        def refuse(cls, value: int) -> int:
            if value > 100:
                raise ValueError("too large")
            return value

    def work(closed: Any) -> None: ...

    work.__annotations__["closed"] = Closed
    task = shared_task(pydantic=True)(work)
    with pytest.raises(ValidationError, match="too large"):
        task.delay(Closed.model_construct(id=101))


def test_the_signature_is_still_checked() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'order'"):
        shared_task(pydantic=True)(note).delay()  # type: ignore[call-arg]


def test_annotations_that_only_type_checkers_can_read_are_passed_over() -> None:
    @shared_task(pydantic=True)
    def work(order: Order, other: Nowhere) -> None:
        seen.append((order, other))

    assert work.apply(({"id": 1}, 2)).state == "SUCCESS"
    assert seen == [({"id": 1}, 2)]


def test_without_pydantic_the_declaration_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(ImproperlyConfigured, match=r"Install djtasks\[pydantic\]"):
        shared_task(pydantic=True)(note)
