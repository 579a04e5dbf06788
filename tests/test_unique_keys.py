"""What the key of a unique call is made of, and what is said of one that cannot be made."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Literal
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from djtasks import Task, app, chain, chord, enqueue_many, group, shared_task
from djtasks.exceptions import EncodeError
from djtasks.models import Message, UniqueKey
from djtasks.options import CallOptions
from djtasks.registry import registry
from djtasks.unique_keys import LONGEST, scoped, unique_of
from tests.testapp.tasks import add
from tests.testapp.unique_tasks import once, strict, sync


def key_of(task: Task[..., Any], *args: Any, **kwargs: Any) -> str:
    """The key of a call, without the task's name."""
    unique = unique_of(task.name, task, args, kwargs, {"unique": True})
    assert unique is not None
    return unique.key.partition(":")[2]


@pytest.fixture(autouse=True)
def forget_tasks() -> Any:
    """Tasks that a test declares are gone with it."""
    before = dict(registry)
    yield
    for name in set(registry) - set(before):
        registry.unregister(name)


# Made of all arguments

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text('abé"\\', max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
        | st.sets(st.integers(0, 9), max_size=4)
        | st.tuples(inner)
    ),
    max_leaves=6,
)


def shuffled(value: Any) -> Any:
    """An equal value, with its dicts and sets built in another order."""
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(list(value))}
    if isinstance(value, set):
        other = set()
        for item in sorted(value, reverse=True):
            other.add(item)
        return other
    if isinstance(value, list):
        return [shuffled(item) for item in value]
    if isinstance(value, tuple):
        return tuple(shuffled(item) for item in value)
    return value


def identical(one: Any, other: Any) -> bool:
    """Equal, and of the same types: 1 and True are two arguments."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(one[n], other[n]) for n in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(identical, one, other))
    return bool(one == other)


@given(JSON, JSON)
def test_equal_arguments_have_one_key_and_others_another(one: Any, other: Any) -> None:
    assert key_of(once, one) == key_of(once, shuffled(one), more=2) == key_of(once, name=one)
    assert (key_of(once, one) == key_of(once, other)) == identical(one, other)
    assert key_of(once, one, more=other) == key_of(once, more=other, name=one)


NAMES = st.text("a:%(3A25", min_size=1, max_size=8)
KEYS = st.text("a:%sh25", max_size=8) | st.just("sha256:") | st.text("xé", min_size=240)


@given(st.tuples(NAMES, KEYS), st.tuples(NAMES, KEYS))
def test_no_two_pairs_of_task_and_key_are_stored_alike(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (scoped(*one) == scoped(*other)) == (one == other)
    assert len(scoped(*one).encode()) < 2000


def test_a_key_longer_than_255_bytes_is_hashed() -> None:
    assert scoped("a.b", "x" * LONGEST) == "a.b:" + "x" * 255
    hashed = scoped("a.b", "é" * 128)
    assert hashed.startswith("a.b:sha256:")
    assert len(hashed) == len("a.b:sha256:") + 64
    assert scoped("a" * 2000, "b").startswith("sha256:")


def test_a_default_that_nobody_can_give_is_left_out() -> None:
    nothing: Any = object()

    @shared_task(unique=True)
    def lazily(name: str, given: Any = nothing) -> None: ...

    assert key_of(lazily, "a") == '{"name":"a"}'
    assert key_of(lazily, "a", None) != key_of(lazily, "a")
    with pytest.raises(ValueError, match="unique key cannot be made of 'given'"):
        key_of(lazily, "a", object())


def test_extra_arguments_are_part_of_the_key() -> None:
    @shared_task(unique=True)
    def many(first: int, /, *rest: int, **named: int) -> None: ...

    assert key_of(many, 1, 2, a=3, b=4) == key_of(many, 1, 2, b=4, a=3)
    assert len({key_of(many, 1), key_of(many, 1, 2), key_of(many, 1, a=2)}) == 3


# Made by a template or a function


def declared(template: Any, **options: Any) -> Task[..., Any]:
    def task(account_id: Any, day: Any = None, **more: Any) -> None: ...

    made: Task[..., Any] = shared_task(name=f"declared.{uuid4()}", unique_key=template, **options)(
        task
    )
    return made


def test_templates_format_values_attributes_and_items() -> None:
    assert key_of(declared("{day:%Y-%m}"), 1, date(2026, 11, 23)) == "2026-11"
    assert key_of(declared("{account_id[id]}/{day!r}"), {"id": 5}) == "5/None"
    assert key_of(declared("{{{account_id}}}"), 5) == "{5}"
    assert key_of(declared("{region}"), 5, region="eu") == "eu"


def test_a_constant_template_is_one_key_for_all_arguments() -> None:
    assert key_of(declared("all"), 1) == key_of(declared("all"), 2) == "all"


def test_a_model_instance_is_its_primary_key() -> None:
    user = User(pk=42, username="secret")
    assert key_of(declared("user:{account_id}"), user) == "user:42"
    assert key_of(declared("{account_id.username}"), user) == "secret"


def test_functions_of_every_kind_make_keys() -> None:
    def by_account(account_id: int, day: object = None) -> str:
        return f"account {account_id}"

    class ByAccount(Task[..., Any]):
        name = "by_account"
        unique_key = by_account

        def run(self, account_id: int, day: object = None) -> None: ...

    for function in (by_account, staticmethod(by_account), functools.partial(by_account)):
        assert key_of(declared(function), 7) == "account 7"
    assert key_of(app.register_task(ByAccount), 7) == "account 7"

    class Bare(Task[..., Any]):
        name = "bare"

        def run(self, account_id: int) -> None: ...

    assert key_of(app.register_task(Bare, unique_key=by_account), 7) == "account 7"


# Mistakes in a declaration


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{acount_id}", "names 'acount_id', which is no argument.*Did you mean 'account_id'?"),
        ("{}", "must name the arguments"),
        ("{0}", "must name the arguments"),
        ("{account_id", "is no template"),
        ("{account_id:{nobody}}", "names 'nobody'"),
        (7, "unique_key must be a text with names of arguments"),
    ],
)
def test_a_template_that_cannot_be_filled_is_an_error_where_it_is_declared(
    template: Any, said: str
) -> None:
    with pytest.raises(TypeError, match=f"Task .*task.*{said}"):

        @shared_task(unique_key=template)
        def task(account_id: int, note: str = "") -> None: ...


def test_a_template_is_checked_wherever_it_is_said() -> None:
    with pytest.raises(TypeError, match="names 'self'"):

        @shared_task(bind=True, unique_key="{self}")
        def bound(self: Any, account_id: int) -> None: ...

    class Base(Task[..., Any]):
        abstract = True
        unique_key = "{account_id}"

    with pytest.raises(TypeError, match="names 'account_id'"):

        class Wrong(Base):
            def run(self, order_id: int) -> None: ...

    class Right(Base):
        name = "right"

        def run(self, account_id: int) -> None: ...

    with pytest.raises(TypeError, match=r"Task right: the unique_key '\{order_id\}'"):
        app.register_task(Right, unique_key="{order_id}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unique": "qeued"}, "the option unique must be.*not 'qeued'. Did you mean 'queued'"),
        ({"unique": 1}, "the option unique must be"),
        ({"unique_for": 0}, "unique_for must be a number of seconds above 0"),
        ({"unique_for": timedelta(seconds=-1)}, "unique_for must be"),
        ({"unique_for": "1h"}, "unique_for must be"),
        ({"unique_on_conflict": "replase"}, "unique_on_conflict must be.*Did you mean 'replace'"),
        ({"unique_keys": "{a}"}, "Did you mean 'unique_key'"),
    ],
)
def test_options_of_another_kind_are_errors_in_declarations_and_calls(
    options: Mapping[str, Any], said: str
) -> None:
    def task(a: int) -> None: ...

    with pytest.raises(TypeError, match=said):
        shared_task(**options)(task)
    with pytest.raises(TypeError, match=said):
        add.apply_async((1, 2), **options)


# Mistakes in a call


def test_what_cannot_be_made_of_the_arguments_names_task_and_reason(db: None) -> None:
    broken: dict[str, tuple[Task[..., Any], Any, str]] = {
        "raises": (declared(lambda *args, **kwargs: 1 // 0), {}, "raised ZeroDivisionError"),
        "no text": (declared(lambda *args, **kwargs: 7), {}, "must return a non-empty text, not 7"),
        "missing": (declared("{region}"), {}, "needs 'region', which this call does not give"),
        "attribute": (declared("{account_id.pk}"), {}, "no attribute 'pk'"),
        "nul": (declared("{account_id}"), {"account_id": "\0"}, "NUL"),
    }
    for task, kwargs, said in broken.values():
        with pytest.raises((TypeError, ValueError), match=f"{task.name}.*{said}"):
            task.apply_async((), {"account_id": 1, **kwargs})
    untyped = declared("{account_id}", typing=False)
    with pytest.raises(TypeError, match=f"{untyped.name}.* cannot be made: .*'account_id'"):
        untyped.delay()
    assert not Message.objects.exists()


def test_a_task_that_is_not_known_here_needs_a_key(db: None) -> None:
    with pytest.raises(ValueError, match=r"Task elsewhere is not known.*unique_key"):
        app.send_task("elsewhere", (1,), unique=True)
    first = app.send_task("elsewhere", (1,), unique_key="k")
    assert app.send_task("elsewhere", (2,), unique_key="k") == first
    assert app.send_task(once.name, ("a",)) == once.delay("a")


def test_the_key_of_a_call_is_a_text() -> None:
    with pytest.raises(TypeError, match="the unique_key of a call must be a text"):
        add.apply_async((1, 2), unique_key=lambda a, b: "x")  # type: ignore[arg-type]


def test_unstorable_arguments_are_told_as_ever(db: None) -> None:
    with pytest.raises(EncodeError, match="args"):
        once.apply_async((object(),))


# In workflows


@pytest.mark.parametrize(
    "make",
    [
        lambda: chain(add.s(1, 2), once.s()),
        lambda: chain(once.s("a"), add.s("b")),
        lambda: group(once.s("a"), once.s("b")),
        lambda: chord([once.s("a")], add.s(1)),
        lambda: chord([add.s(1, 2), add.s(3, 4)], strict.s()),
    ],
)
def test_a_unique_task_is_refused_in_a_workflow_before_anything_is_written(
    make: Any, db: None
) -> None:
    with pytest.raises(ValueError, match=r"is unique, and cannot be part .*set\(unique=False\)"):
        make().apply_async()
    with pytest.raises(ValueError, match="is unique"):
        enqueue_many([make()])
    assert not Message.objects.exists()


def test_a_signature_that_is_not_unique_has_its_place_in_a_workflow(db: None) -> None:
    sync.delay(7)
    made = chain(sync.si(7).set(unique=False), add.si(1, 2)).apply_async()
    assert made.parent is not None
    assert Message.objects.count() == 3
    assert UniqueKey.objects.count() == 1


def test_the_options_are_in_the_types_of_a_call() -> None:
    mode: Literal["queued"] = "queued"
    options: CallOptions = {"unique": mode, "unique_key": "k", "unique_for": timedelta(hours=1)}
    assert unique_of("a", None, (), {}, options) is not None
