"""What a type checker knows of tasks: arguments of calls, results, options of calls.

Every ``type: ignore`` here is an error that users must get; mypy reports one that is not needed.
"""

from __future__ import annotations

from typing import Any, assert_type

from djtasks import AsyncResult, EagerResult, Signature, Task, app, enqueue_many, shared_task


@shared_task
def add(a: int, b: int = 0) -> int:
    return a + b


@shared_task(max_retries=5, anything="of mine")
def greet(name: str) -> str:
    return f"hello {name}"


@shared_task(bind=True, autoretry_for=(OSError,))
def bound(self: Task[..., Any], order_id: int) -> bool:
    self.retry(countdown=5)
    return order_id > 0


@shared_task
async def fetch(url: str) -> bytes:
    return url.encode()


@shared_task(bind=True)
async def fetch_bound(self: Task[..., Any], url: str) -> bytes:
    return url.encode()


@app.task
def by_app(x: float) -> float:
    return x


@app.task(bind=True)
def by_app_bound(self: Task[..., Any], x: float) -> float:
    return x


class Resize(Task[[int, int], str]):
    def run(self, width: int, height: int) -> str:
        return f"{width}x{height}"


resize = app.register_task(Resize)

# Calls with the right arguments

assert_type(add(1, 2), int)
assert_type(add.delay(1), AsyncResult[int])
assert_type(add.delay(a=1, b=2), AsyncResult[int])
assert_type(add.delay(1).get(timeout=5), int)
assert_type(add.apply_async((1, 2), countdown=5, queue="mail"), AsyncResult[int])
assert_type(add.apply((1, 2)), EagerResult[int])
assert_type(add.delay_on_commit(1), AsyncResult[int])
assert_type(add.s(1), Signature[int])
assert_type(add.s(1).delay(2), AsyncResult[int])
assert_type(greet.delay("x").get(), str)
assert_type(bound.delay(42), AsyncResult[bool])
assert_type(bound(42), bool)
assert_type(fetch.delay("x"), AsyncResult[bytes])
assert_type(fetch_bound.delay("x"), AsyncResult[bytes])
assert_type(by_app.delay(1.5), AsyncResult[float])
assert_type(by_app_bound.delay(1.5), AsyncResult[float])
assert_type(resize.delay(1, 2), AsyncResult[str])
enqueue_many([add.s(1), (greet, ("x",)), (bound, (1,), {}, {"queue": "q"})])


async def asynchronously() -> None:
    assert_type(await add.adelay(1, 2), AsyncResult[int])
    assert_type(await (await add.adelay(1)).aget(), int)
    assert_type(await fetch("x"), bytes)
    assert_type(await fetch_bound("x"), bytes)
    await add.adelay("x")  # type: ignore[arg-type]


# Calls with wrong ones

add.delay("x")  # type: ignore[arg-type]
add.delay()  # type: ignore[call-arg]
add.delay(1, 2, 3)  # type: ignore[call-arg]
add.delay(1, c=2)  # type: ignore[call-arg]
add("x")  # type: ignore[arg-type]
add.delay_on_commit("x")  # type: ignore[arg-type]
greet.delay(5)  # type: ignore[arg-type]
bound.delay("x")  # type: ignore[arg-type]
bound.delay(None, 42)  # type: ignore[call-arg, arg-type]
fetch.delay(5)  # type: ignore[arg-type]
fetch_bound.delay(5)  # type: ignore[arg-type]
by_app.delay("x")  # type: ignore[arg-type]
by_app_bound.delay("x")  # type: ignore[arg-type]
resize.delay("x", 2)  # type: ignore[arg-type]
resize.delay(1)  # type: ignore[call-arg]

# Options of calls

add.apply_async((1, 2), count_down=5)  # type: ignore[call-arg]
add.apply_async((1, 2), priority="high")  # type: ignore[arg-type]
add.apply_async((1, 2), enqueue="later")  # type: ignore[arg-type]
add.apply_async(5)  # type: ignore[arg-type]

# A misspelt attribute is one

add.dealy(1)  # type: ignore[attr-defined]
