"""What a type checker knows of signatures and workflows.

Every ``type: ignore`` here is an error that users must get; mypy reports one that is not needed.
"""

from __future__ import annotations

from typing import Any, assert_type

from djtasks import (
    AsyncResult,
    Signature,
    chain,
    chord,
    chunks,
    group,
    maybe_signature,
    shared_task,
    signature,
    xmap,
    xstarmap,
)
from djtasks.canvas import StampingVisitor


@shared_task
def add(a: int, b: int = 0) -> int:
    return a + b


@shared_task
def total(numbers: list[int]) -> int:
    return sum(numbers)


# Signatures

assert_type(add.s(1), Signature[int])
assert_type(add.s(1).set(queue="q"), Signature[int])
assert_type(add.s(1).clone((2,)), Signature[int])
assert_type(add.s(1).stamp(x=1), Signature[int])
assert_type(add.s(1).on_error(add.s(2)), Signature[int])
assert_type(add.s(1).link(total.s()), Signature[int])
assert_type(add.s(1).freeze(), AsyncResult[int])
assert_type(signature(add, (1,)), Signature[int])
assert_type(maybe_signature(None), Signature[Any] | None)

# Workflows

assert_type(chain(add.s(1), add.s(2)), chain)
assert_type(chain(add.s(i) for i in range(3)), chain)
assert_type(group(add.s(1), add.s(2)), group)
assert_type(group(add.s(i) for i in range(3)).skew(step=0.5), group)
assert_type(chord([add.s(1)], total.s()), chord)
assert_type(chord([add.s(1)], total.s()).body, Signature[Any] | None)
assert_type(chord([add.s(1)]).header, group)
assert_type(group(add.s(1)).tasks, list[Signature[Any]])
assert_type(chain(add.s(1)).clone((1,)), chain)
assert_type(group(add.s(1)).stamp(x=1), group)
assert_type(add.map([1, 2]), xmap)
assert_type(add.starmap([(1, 2)]), xstarmap)
assert_type(add.chunks([(1, 2)], 10), chunks)
assert_type(add.chunks([(1, 2)], 10).group(), group)

workflow = add.s(1) | group(add.s(2), add.s(3)) | total.s()
workflow.delay()
workflow |= add.s(1)
chord(add.s(i) for i in range(3))(total.s(), countdown=5)


class Stamps(StampingVisitor):
    def on_signature(self, sig: Signature[Any], **headers: Any) -> dict[str, Any]:
        return {"name": sig.task}


add.s(1).stamp(visitor=Stamps())

# Mistakes

add.chunks([(1, 2)])  # type: ignore[call-arg]
add.chunks([(1, 2)], "ten")  # type: ignore[arg-type]
add.map(5)  # type: ignore[arg-type]
chord()  # type: ignore[call-arg]
chain(add.s(1)).dealy()  # type: ignore[attr-defined]
add.s(1).stamp(visitor=5)  # type: ignore[arg-type]
