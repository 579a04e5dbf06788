"""Signatures: dicts that are calls, with Celery's rules of merging."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from djtasks import AsyncResult, Signature, app, shared_task, signature, subtask
from djtasks.calling import Defaults, build
from djtasks.canvas.signature import maybe_signature
from djtasks.codec import decode_call, encode_call
from djtasks.exceptions import EncodeError, NotRegistered
from djtasks.testing import capture_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add

NAME = "tests.testapp.tasks.add"


def test_a_signature_is_a_dict_with_celerys_keys() -> None:
    sig = add.s(2, b=3)
    assert sig == {
        "task": NAME,
        "args": (2,),
        "kwargs": {"b": 3},
        "options": {},
        "subtask_type": None,
        "immutable": False,
    }
    assert (sig.task, sig.name, sig.args, sig.kwargs) == (NAME, NAME, (2,), {"b": 3})
    assert sig.type is add
    assert sig.id is sig.parent_id is sig.root_id is None
    assert add.si(1).immutable
    assert add.signature((1,), {"b": 2}, {"queue": "q"}, countdown=3).options == {
        "queue": "q",
        "countdown": 3,
    }
    assert add.subtask((1,)) == add.signature((1,))
    assert sig.app is app


def test_signatures_are_made_of_names_tasks_signatures_and_dicts() -> None:
    made = signature(NAME, args=(1,), kwargs={"b": 2}, options={"queue": "q"}, priority=3)
    assert made.options == {"queue": "q", "priority": 3}
    assert signature(add, (1,)) == add.s(1)
    original = add.s(1)
    clone = signature(original)
    assert clone == original
    assert clone is not original
    assert subtask is signature
    rebuilt = signature(json.loads(json.dumps(add.s(1, b=2))))
    assert isinstance(rebuilt, Signature)
    assert rebuilt == add.s(1, b=2)
    assert maybe_signature(None) is None
    assert maybe_signature(original) is original
    assert maybe_signature(original, clone=True) is not original
    assert isinstance(maybe_signature(dict(original)), Signature)


def test_later_arguments_come_first_and_later_keywords_and_options_win() -> None:
    sig = add.s(10).set(queue="a", priority=1)
    clone = sig.clone((1, 2), {"b": 3}, queue="b")
    assert clone.args == (1, 2, 10)
    assert clone.kwargs == {"b": 3}
    assert clone.options == {"queue": "b", "priority": 1}
    assert sig.args == (10,)
    assert sig.options == {"queue": "a", "priority": 1}
    assert add.s(1, b=1).partial(kwargs={"b": 2}).kwargs == {"b": 2}


def test_an_immutable_signature_ignores_later_arguments_but_not_options() -> None:
    clone = add.si(1, 2).clone((5,), {"b": 6}, queue="q")
    assert (clone.args, clone.kwargs, clone.options) == ((1, 2), {}, {"queue": "q"})
    sig = add.s(1)
    assert sig.set(immutable=True) is sig
    assert sig.immutable


def test_a_group_id_is_not_changed_by_a_later_option() -> None:
    sig = add.s(1).set(group_id="first")
    assert sig.clone(group_id="second").options["group_id"] == "first"
    assert add.s(1).clone(group_id="second").options["group_id"] == "second"


def test_a_clone_shares_nothing_that_is_changed() -> None:
    sig = add.s(1, b={"deep": 1}).set(headers={"h": [1]})
    clone = sig.clone()
    clone.kwargs["b2"] = 1
    clone.options["headers"]["h"].append(2)
    assert sig.kwargs == {"b": {"deep": 1}}
    assert sig.options == {"headers": {"h": [1]}}
    deep = copy.deepcopy(sig)
    deep.options["headers"]["h"].append(3)
    assert sig.options == {"headers": {"h": [1]}}
    assert deep.type is add


def test_replace_changes_whole_sections_of_a_copy() -> None:
    sig = add.s(1, b=2).set(queue="q")
    assert sig.replace(args=(9,)).args == (9,)
    assert sig.replace(kwargs={}).kwargs == {}
    assert sig.replace(options={"priority": 1}).options == {"priority": 1}
    assert sig == add.s(1, b=2).set(queue="q")


def test_attributes_write_the_items() -> None:
    sig = add.s(1)
    sig.args = (5,)
    sig.task = "other"
    assert sig["args"] == (5,)
    assert sig["task"] == "other"


def test_freezing_gives_an_id_once_and_the_result_of_the_call() -> None:
    sig = add.s(1, 2)
    result = sig.freeze(root_id="r", parent_id="p", group_id="g", group_index=1)
    assert isinstance(result, AsyncResult)
    assert result.id == sig.id == sig.options["task_id"]
    assert (sig.root_id, sig.parent_id) == ("r", "p")
    assert sig.options["group_id"] == "g"
    assert sig.options["group_index"] == 1
    assert sig.freeze(_id="other").id == result.id
    assert add.s(1).freeze(_id="order-42").id == "order-42"
    assert signature("unknown.task").freeze().id


def test_links_are_added_once_and_return_what_celery_returns() -> None:
    sig, callback, errback = add.s(1, 2), add.s(3), add.s(4)
    assert sig.link(callback) is callback
    assert sig.link(add.s(3)) == callback
    assert sig.options["link"] == [callback]
    assert sig.link_error(errback) is errback
    assert sig.on_error(errback) is sig
    assert sig.options["link_error"] == [errback]
    callback.link(add.s(5))
    assert sig.flatten_links() == [sig, callback, add.s(5)]
    single = add.signature((1,), link=add.s(9))
    single.link(add.s(8))
    assert single.options["link"] == [add.s(9), add.s(8)]


def test_a_signature_shows_as_its_call() -> None:
    assert repr(add.s(2, 2)) == f"{NAME}(2, 2)"
    assert repr(add.s(2, b="x")) == f"{NAME}(2, b='x')"
    assert add.si(2).reprcall(1, b=3) == f"{NAME}(1, 2, b=3)"


def test_calling_it_runs_the_task_here() -> None:
    assert add.s(2)(40) == 42
    assert add.si(1, 1)(40) == 2
    with pytest.raises(NotRegistered):
        signature("no.such.task")()


def test_signatures_are_no_dicts_to_merge() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        add.s(1) | 5
    with pytest.raises(TypeError, match="unsupported operand"):
        add.s(1) | dict(add.s(2))


def test_it_survives_pickle_and_json() -> None:
    sig = add.s(1, b=2).set(queue="q")
    assert pickle.loads(pickle.dumps(sig)) == sig
    args, _ = decode_call(encode_call((sig,), {}, task="x"))
    assert signature(args[0]) == sig


def test_apply_async_merges_and_drops_options_that_are_none() -> None:
    with capture_tasks() as calls:
        add.s(2).set(queue="q").apply_async((1,), priority=4, countdown=None)
        add.si(1, 1).delay(7)
        signature("unknown.task", (1,)).apply_async(queue="q")
    assert [(c.name, c.args, dict(c.options)) for c in calls] == [
        (NAME, (1, 2), {"queue": "q", "priority": 4}),
        (NAME, (1, 1), {}),
        ("unknown.task", (1,), {"queue": "q"}),
    ]


def test_apply_runs_it_through_the_executor() -> None:
    assert add.s(2).apply((40,)).get() == 42


def test_a_frozen_signature_keeps_its_id_when_it_is_called() -> None:
    sig = add.s(1, 2)
    frozen = sig.freeze()
    with capture_tasks() as calls:
        assert sig.apply_async() == frozen
    assert calls[0].result == frozen


def test_custom_kinds_are_rebuilt_by_their_class() -> None:
    @Signature.register_type("test_kind")
    class Kind(Signature[Any]):
        @classmethod
        def from_dict(cls, d: Any, app: object = None) -> Kind:
            return cls(d)

    try:
        rebuilt = signature({"task": "x", "subtask_type": "test_kind"})
        assert type(rebuilt) is Kind
        assert rebuilt.args == ()
    finally:
        del Signature.TYPES["test_kind"]


def linked(**options: Any) -> list[dict[str, Any]]:
    message = build(Defaults(NAME, add), (1, 2), {}, options)
    assert message.options is not None
    # It has to be JSON: it is stored as that.
    stored: list[dict[str, Any]] = json.loads(json.dumps(message.options["link"]))
    return stored


def test_links_travel_as_json_and_become_signatures_again() -> None:
    eta = datetime(2030, 1, 1, tzinfo=UTC)
    link = add.si(1, b=2).set(queue="q", eta=eta, expires=timedelta(minutes=1))
    link.link(add.s(3))
    (stored,) = linked(link=link)
    assert stored["task"] == NAME
    assert stored["args"] == [1]
    rebuilt = signature(stored)
    assert rebuilt.args == (1,)
    assert rebuilt.immutable
    assert rebuilt.options == {
        "queue": "q",
        "eta": eta.isoformat(),
        "expires": 60.0,
        "link": [{**add.s(3), "args": [3]}],
    }
    assert [signature(one) for one in linked(link=[add.s(1), add.s(2)])] == [add.s(1), add.s(2)]


def test_links_keep_the_types_of_their_arguments() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    (stored,) = linked(link=add.s(moment, b=Decimal("1.5")))
    rebuilt = signature(stored)
    assert rebuilt == add.s(moment, b=Decimal("1.5"))


@pytest.mark.usefixtures("own_registry")
def test_what_is_no_signature_is_no_link() -> None:
    @shared_task
    def work() -> None: ...

    with pytest.raises(TypeError, match="link must be a signature"):
        linked(link=work)
    with pytest.raises(TypeError, match="link must be a signature"):
        linked(link={"args": []})
    with pytest.raises(EncodeError, match=r"args\[0\]"):
        linked(link=add.s(object()))
