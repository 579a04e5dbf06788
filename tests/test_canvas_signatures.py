"""chain, group, chord, chunks, map and starmap as signatures: what they are before they are sent.

Expected values are those of Celery 5.7.0 for the same signatures, unless a test says otherwise.
"""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from djtasks import (
    AsyncResult,
    GroupResult,
    Signature,
    app,
    chain,
    chord,
    chunks,
    enqueue_many,
    group,
    maybe_signature,
    shared_task,
    signature,
    xmap,
    xstarmap,
)
from djtasks.canvas import maybe_subtask
from djtasks.codec import decode_call, encode_call
from djtasks.testing import capture_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add, echo

NAME = "tests.testapp.tasks.add"


def s(*args: Any) -> Signature[Any]:
    """A signature of a task that nobody knows, with a name that is short to read."""
    return signature("proj.add", args)


def xsum(*args: Any) -> Signature[Any]:
    return signature("proj.xsum", args)


def every_kind() -> dict[str, Signature[Any]]:
    return {
        "chain": chain(s(1, 1), s(2)),
        "chain_of_all": chain(s(1), group(s(2), s(3)), xsum(), group(s(4), s(5))),
        "group": group(s(1), chain(s(2), s(3)), chord([s(4)], s(5))),
        "chord": chord([s(1), s(2)], xsum()),
        "chord_of_all": chord(group(s(1), chain(s(2), s(3))), chain(xsum(), group(s(1), s(2)))),
        "chord_without_body": chord([s(1)]),
        "options": group(s(1).set(queue="a"), s(2), priority=3) | xsum().set(queue="b"),
        "xmap": add.map([1, 2]),
        "xstarmap": add.starmap([[1, 2], [3, 4]]),
        "chunks": add.chunks([[1, 2], [3, 4]], 1),
        "empty_group": group(),
        "empty_chain": chain(),
    }


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


# What they are


def test_they_are_dicts_with_celerys_keys() -> None:
    one, two = s(1), s(2)
    assert plain(chain(one, two)) == {
        "task": "djtasks.chain",
        "args": [],
        "kwargs": {"tasks": [plain(one), plain(two)]},
        "options": {},
        "subtask_type": "chain",
        "immutable": False,
    }
    assert plain(group(one, two, queue="q")) == {
        "task": "djtasks.group",
        "args": [],
        "kwargs": {"tasks": [plain(one), plain(two)]},
        "options": {"queue": "q"},
        "subtask_type": "group",
        "immutable": False,
    }
    assert plain(chord([one], two)) == {
        "task": "djtasks.chord",
        "args": [],
        "kwargs": {"kwargs": {}, "header": [plain(one)], "body": plain(two)},
        "options": {},
        "subtask_type": "chord",
        "immutable": False,
    }
    assert plain(add.map([1, 2])) == {
        "task": "djtasks.map",
        "args": [],
        "kwargs": {"task": plain(add.s()), "it": [1, 2]},
        "options": {},
        "subtask_type": "xmap",
        "immutable": True,
    }
    assert add.starmap([(1, 2)])["task"] == "djtasks.starmap"
    assert add.chunks([(1, 2)], 1)["kwargs"] == {"task": add.s(), "it": [(1, 2)], "n": 1}


@pytest.mark.parametrize("kind", every_kind())
def test_they_survive_json_at_any_depth(kind: str) -> None:
    sig = every_kind()[kind]
    rebuilt = signature(plain(sig))
    assert type(rebuilt) is type(sig)
    assert plain(rebuilt) == plain(sig)
    assert repr(rebuilt) == repr(sig) or not repr(sig).startswith("group")
    for part in parts(rebuilt):
        assert isinstance(part, Signature)
    assert signature(plain([rebuilt])[0]) == rebuilt


@pytest.mark.parametrize("kind", every_kind())
def test_they_survive_pickle_and_copies(kind: str) -> None:
    sig = every_kind()[kind]
    for twin in (pickle.loads(pickle.dumps(sig)), copy.copy(sig), copy.deepcopy(sig), sig.clone()):
        assert type(twin) is type(sig)
        assert plain(twin) == plain(sig)
        assert twin is not sig


@pytest.mark.parametrize("kind", every_kind())
def test_they_are_arguments_of_tasks(kind: str) -> None:
    sig = every_kind()[kind]
    args, _ = decode_call(encode_call((sig,), {}, task="x"))
    assert plain(signature(args[0])) == plain(sig)


def test_arguments_inside_keep_their_types() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    args, _ = decode_call(encode_call((chord([s(moment)], chain(s(moment), s(1))),), {}, task="x"))
    rebuilt: Any = signature(args[0])
    assert rebuilt.tasks[0].args == (moment,)
    assert rebuilt.body.tasks[0].args == (moment,)


def parts(sig: Any) -> list[Any]:
    """A signature and all that is in it."""
    found = [sig]
    header = sig.kwargs.get("header")
    inner = header.tasks if isinstance(header, group) else header or sig.kwargs.get("tasks") or []
    for part in [*inner, sig.kwargs.get("body"), sig.kwargs.get("task")]:
        if part is not None:
            found += parts(part)
    return found


def test_rebuilding_leaves_the_dict_alone() -> None:
    """Celery puts signatures into it."""
    raw = plain(chain(s(1), group(s(2), s(3))))
    before = json.dumps(raw)
    signature(raw).set(queue="q")
    assert json.dumps(raw) == before


def test_their_parts_are_attributes() -> None:
    assert chain(s(1), s(2)).tasks == [s(1), s(2)]
    assert group(s(1), s(2)).tasks == [s(1), s(2)]
    whole = chord([s(1), s(2)], xsum())
    assert whole.tasks == [s(1), s(2)]
    assert isinstance(whole.header, group)
    assert whole.header.tasks == [s(1), s(2)]
    assert whole.body == xsum()
    whole.body = s(9)
    assert whole.kwargs["body"] == s(9)
    whole.tasks = [s(7)]
    assert whole.tasks == [s(7)]
    assert len(group(s(1), s(2))) == 2
    assert not group()
    assert group(s(1))


def test_a_group_is_made_of_signatures_an_iterable_or_a_group() -> None:
    expected = [s(1), s(2)]
    assert group(s(1), s(2)).tasks == expected
    assert group([s(1), s(2)]).tasks == expected
    assert group((s(1), s(2))).tasks == expected
    assert group(s(i) for i in (1, 2)).tasks == expected
    assert group(iter(expected)).tasks == expected
    assert plain(group(plain(expected)).tasks) == plain(expected)
    assert group(group(expected)).tasks == expected
    assert group(s(1)).tasks == [s(1)]
    assert group().tasks == group([]).tasks == []


def test_groups_in_groups_are_replaced_by_their_members() -> None:
    found = group(group(s(1), group(s(2))), s(3), chain(), group())
    assert found.tasks == [s(1), s(2), s(3)]
    assert chord([group(s(1), s(2)), s(3)], xsum()).tasks == [s(1), s(2), s(3)]


def test_options_of_a_group_in_a_group_stay_with_its_members() -> None:
    """Celery drops them."""
    inner = group(s(1), s(2).set(queue="own"), queue="q", priority=2, task_id="id")
    inner.options["link_error"] = [s(9)]
    found = group(inner, s(3))
    assert [t.options for t in found.tasks] == [
        {"queue": "q", "priority": 2, "link_error": [s(9)]},
        {"queue": "q", "priority": 2, "link_error": [s(9)]},
        {},
    ]


def test_a_chain_as_header_is_one_task_of_it() -> None:
    """Celery takes it apart and runs its steps side by side."""
    steps = chain(s(1), s(2))
    assert chord(steps, xsum()).tasks == [steps]


def test_a_list_of_the_caller_is_not_theirs() -> None:
    members = [s(1), s(2)]
    found, whole = group(members), chord(members, xsum())
    members.append(s(3))
    assert len(found.tasks) == len(whole.tasks) == 2


@pytest.mark.parametrize("wrong", [5, "proj.add", None, [5], {"no": "task"}, [None]])
def test_what_is_no_signature_is_no_part(wrong: Any) -> None:
    with pytest.raises(TypeError, match="made of signatures"):
        group(wrong)
    with pytest.raises(TypeError, match="made of signatures"):
        chain(wrong, s(1))
    if wrong is not None:
        with pytest.raises(TypeError, match="made of signatures"):
            chord([s(1)], wrong)


def test_a_task_in_the_place_of_a_signature_is_explained() -> None:
    with pytest.raises(TypeError, match=r"Write task\.s\("):
        group(add, add)
    with pytest.raises(TypeError, match=r"Write task\.s\("):
        chord([s(1)], add)


def test_a_name_of_another_kind_can_be_registered_beside_them() -> None:
    kinds = {"chain", "group", "chord", "chunks", "xmap", "xstarmap"}
    assert kinds <= set(Signature.TYPES)


# Copies and changes


def test_a_clone_shares_no_signature() -> None:
    """In Celery a clone of a group has the members of the group itself."""
    for sig in every_kind().values():
        before = json.dumps(sig)
        for part in parts(sig.clone()):
            part.options["touched"] = 1
        assert json.dumps(sig) == before


def test_later_arguments_are_for_those_that_begin() -> None:
    """Celery loses those of a chain and a group."""
    assert chain(s(1), s(2)).clone((9,)).tasks == [s(9, 1), s(2)]
    assert group(s(1), s(2)).clone((9,)).tasks == [s(9, 1), s(2).clone((9,))]
    both = chord([s(1), chain(s(2), s(3))], xsum()).partial((9,), {"k": 1})
    assert both.tasks[0] == s(9, 1).clone(kwargs={"k": 1})
    assert both.tasks[1].kwargs["tasks"][0].args == (9, 2)
    assert both.body == xsum()
    assert chord([s(1)]).clone(kwargs={"body": xsum()}).body == xsum()
    assert chain(group(s(1), s(2)), queue="q").clone((9,)).tasks[0].kwargs["tasks"][1].args == (
        9,
        2,
    )


def test_an_immutable_chain_ignores_later_arguments_but_not_options() -> None:
    sig = chain(s(1), s(2)).set(immutable=True)
    clone = sig.clone((9,), queue="q")
    assert clone.tasks == [s(1), s(2)]
    assert clone.options == {"queue": "q"}
    assert clone.immutable


def test_immutable_is_for_the_members_of_a_group_and_a_header() -> None:
    assert [t.immutable for t in group(s(1), s(2)).set(immutable=True).tasks] == [True, True]
    whole = chord([s(1), s(2)], xsum()).set(immutable=True)
    assert [t.immutable for t in whole.tasks] == [True, True]
    assert whole.body is not None
    assert not whole.body.immutable
    assert not whole.immutable


def test_ids_may_be_set_as_attributes() -> None:
    sig: Any = s(1)
    sig.id, sig.root_id, sig.parent_id = "own", "root", "parent"
    assert sig.options == {"task_id": "own", "root_id": "root", "parent_id": "parent"}
    assert (sig.id, sig.root_id, sig.parent_id) == ("own", "root", "parent")


def test_options_that_are_lists_grow() -> None:
    sig = s(1)
    assert sig.append_to_list_option("tags", "a") == "a"
    sig.append_to_list_option("tags", "a")
    assert sig.options["tags"] == ["a"]
    sig.extend_list_option("tags", ["a", "b"])
    sig.extend_list_option("tags", "c")
    assert sig.options["tags"] == ["a", "a", "b", "c"]


def test_they_give_json_their_dict() -> None:
    for sig in every_kind().values():
        assert type(sig.__json__()) is dict
        assert sig.__json__() == sig


def test_set_and_replace_work_on_every_kind() -> None:
    for sig in every_kind().values():
        assert sig.set(queue="q") is sig
        assert sig.options["queue"] == "q"
        other = sig.replace(options={"priority": 1})
        assert type(other) is type(sig)
        assert other.options == {"priority": 1}
        assert sig.options["queue"] == "q"
    assert chain(s(1)).replace(kwargs={"tasks": [s(2)]}).tasks == [s(2)]


# Links


def test_links_of_a_chain_are_its_own_until_it_is_taken_apart() -> None:
    found = chain(s(1), s(2))
    callback, errback = s(7), s(8)
    assert found.link(callback) is callback
    assert found.link_error(errback) is errback
    assert found.options == {"link": [callback], "link_error": [errback]}
    assert [t.options for t in found.unchain_tasks()] == [
        {"link_error": [errback]},
        {"link": [callback], "link_error": [errback]},
    ]
    assert [t.options for t in found.tasks] == [{}, {}]


def test_a_link_of_a_group_is_an_immutable_one_of_its_first_member() -> None:
    found = group(s(1), s(2))
    callback = s(7)
    linked = found.link(callback)
    assert linked == s(7).set(immutable=True)
    assert not callback.immutable
    assert [t.options for t in found.tasks] == [{"link": [linked]}, {}]
    with pytest.raises(TypeError, match="without members"):
        group().link(callback)


def test_an_errback_of_a_group_is_one_of_each_member() -> None:
    found = group(s(1), s(2))
    assert found.link_error(s(8)) == (s(8), s(8))
    first, second = (t.options["link_error"][0] for t in found.tasks)
    assert first == second == s(8)
    assert first is not second
    assert group().link_error(s(8)) == ()


def test_links_of_a_chord_are_its_bodys() -> None:
    whole = chord([s(1)], xsum())
    callback, errback = s(7), s(8)
    assert whole.link(callback) is callback
    assert whole.link_error(errback) is errback
    assert whole.body is not None
    assert whole.body.options == {"link": [callback], "link_error": [errback]}
    assert whole.tasks[0].options == {}
    with pytest.raises(TypeError, match="has no body"):
        chord([s(1)]).link(callback)


def test_an_errback_of_a_chord_is_for_its_header_too_if_the_setting_says_so() -> None:
    nested = chord([s(2)], xsum(5))
    whole = chord([s(1), nested], xsum())
    whole.link_error(s(8))
    assert whole.tasks[0].options == {}
    # A chord in the header links it in any case, as in Celery.
    assert whole.tasks[1].kwargs["body"].options == {"link_error": [s(8)]}
    name = "TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER"
    with override_settings(DJTASKS={**settings.DJTASKS, name: True}):
        whole = chord([s(1), s(2)], xsum())
        whole.link_error(s(8))
    assert [t.options for t in whole.tasks] == [{"link_error": [s(8)]}] * 2
    assert whole.body is not None
    assert whole.body.options == {"link_error": [s(8)]}


def test_links_of_every_kind_are_flattened() -> None:
    found = chain(s(1), s(2))
    callback = s(3)
    callback.link(s(4))
    found.link(callback)
    assert found.flatten_links() == [found, callback, s(4)]


def test_a_group_refuses_links_of_a_call() -> None:
    with pytest.raises(TypeError, match="Cannot add link to group: use a chord"):
        group(s(1)).apply_async(link=s(2))
    with pytest.raises(TypeError, match="Cannot add link to group: do that on individual tasks"):
        group(s(1)).apply_async(link_error=s(2))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1.0, 2.0, 3.0, 4.0]),
        ({"start": 1, "stop": 2}, [1.0, 2.0, 2.0, 2.0]),
        ({"start": 0, "stop": 3, "step": 2}, [0.0, 2.0, 2.0, 2.0]),
    ],
)
def test_skew_lets_members_begin_one_after_the_other(
    options: dict[str, Any], expected: list[float]
) -> None:
    found = group(s(i) for i in range(4))
    assert found.skew(**options) is found
    assert [t.options["countdown"] for t in found.tasks] == expected


# How they show


def test_they_show_as_celery_shows_them() -> None:
    assert repr(chain(s(1, 1), s(2))) == "proj.add(1, 1) | add(2)"
    assert repr(chain(s(1))) == "proj.add(1)"
    assert repr(chain()).startswith("<chain@0x")
    assert repr(chain()).endswith(": empty>")
    assert repr(group([s(1, 1), s(2, 2)])) == "group([proj.add(1, 1), add(2, 2)])"
    assert repr(group()) == "group(<empty>)"
    assert repr(chord([s(1, 1), s(2, 2)], xsum())) == "%proj.xsum([add(1, 1), add(2, 2)])"
    assert repr(chord([s(1)])) == "<chord without body: [proj.add(1)]>"
    assert repr(chord([s(1)], chain(xsum(), s(5)))) == "%(proj.xsum([add(1)]) | add(5))"
    assert (
        repr(chord([s(1)], chain(xsum(), s(5), s(6)))) == "%(proj.xsum([add(1)]) | add(5) | add(6))"
    )
    assert repr(chain(s(1), group([s(2), s(3)]), xsum())) == "proj.add(1) | %xsum([add(2), add(3)])"
    assert repr(xmap(s(), [1, 2])) == "[proj.add(x) for x in [1, 2]]"
    assert repr(xstarmap(s(), [(1, 2)])) == "[proj.add(*x) for x in [(1, 2)]]"
    assert repr(xmap(s(), range(100))) == (
        "[proj.add(x) for x in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, "
        "19, 20, 21, 22, 23, 24, 25, 26,...]"
    )
    assert repr(chunks(s(), [(1, 2)], 1)) == "djtasks.chunks(task=proj.add(), it=[(1, 2)], n=1)"


def test_a_body_of_several_tasks_shows_as_what_it_is() -> None:
    """Celery shows the call of a task ``celery.group``."""
    found = chord([s(1)], group(xsum(), xsum()))
    assert repr(found) == "%(group([proj.add(1)]) | group([proj.xsum(), xsum()]))"


def test_they_show_later_arguments() -> None:
    assert chain(s(1), s(2)).reprcall(9) == "proj.add(9, 1) | add(2)"
    assert s(1).reprcall(9) == "proj.add(9, 1)"


# Ids


def lineage(result: Any) -> list[Any]:
    found = []
    while result is not None:
        found.append(result)
        result = result.parent
    return found


def test_a_frozen_chain_gives_the_last_result_with_its_parents() -> None:
    one = s(1)
    found = chain(one, s(2), s(3))
    result = found.freeze()
    assert isinstance(result, AsyncResult)
    assert [r.id for r in lineage(result)] == [t.id for t in reversed(found.tasks)]
    assert found.id == result.id
    assert one.id is None
    assert found.freeze().id == result.id
    assert chain().freeze() is None


def test_a_frozen_chain_has_id_and_place_of_its_last_task() -> None:
    found = chain(s(1), s(2))
    result = found.freeze(_id="abc", group_id="g", group_index=3, root_id="r", parent_id="p")
    assert result.id == "abc"
    first, last = found.tasks
    assert first.options == {"task_id": first.id, "root_id": "r", "parent_id": "p"}
    assert last.options == {"task_id": "abc", "root_id": "r", "group_id": "g", "group_index": 3}


def test_a_frozen_group_gives_ids_and_places_to_its_members() -> None:
    one = s(1)
    found = group(one, s(2))
    result = found.freeze(root_id="r", parent_id="p")
    assert isinstance(result, GroupResult)
    assert result.id == found.id
    assert [r.id for r in result.results] == [t.id for t in found.tasks]
    for index, member in enumerate(found.tasks):
        assert member.options == {
            "task_id": member.id,
            "group_id": found.id,
            "group_index": index,
            "root_id": "r",
            "parent_id": "p",
        }
    assert one.id is None
    again = found.freeze()
    assert again.id == result.id
    assert [r.id for r in again.results] == [r.id for r in result.results]
    assert group(s(1)).freeze("g").id == "g"
    assert group().freeze().results == []


def test_the_same_signature_twice_has_two_ids() -> None:
    one = s(1)
    assert len({r.id for r in group(one, one).freeze().results}) == 2
    assert len({r.id for r in lineage(chain(one, one).freeze())}) == 2


def test_a_frozen_chord_gives_the_bodys_result_with_the_headers_as_parent() -> None:
    body = xsum()
    whole = chord([s(1), s(2)], body)
    result = whole.freeze(root_id="r", group_id="outer", group_index=1)
    assert whole.body is not None
    assert result.id == whole.body.id == whole.id
    assert whole.body.options == {
        "task_id": result.id,
        "root_id": "r",
        "group_id": "outer",
        "group_index": 1,
    }
    header = result.parent
    assert isinstance(header, GroupResult)
    assert header.id == whole.header.id
    assert [r.id for r in header.results] == [t.id for t in whole.tasks]
    assert [t.options["group_id"] for t in whole.tasks] == [header.id] * 2
    assert body.id is None
    assert chord([s(1)], xsum()).freeze("b").id == "b"


def test_a_frozen_chord_keeps_its_ids_in_json() -> None:
    whole = chord([s(1), s(2)], chain(xsum(), s(3)))
    result = whole.freeze()
    rebuilt: Any = signature(plain(whole))
    again = rebuilt.freeze()
    assert [r.id for r in lineage(again)] == [r.id for r in lineage(result)]
    assert rebuilt.header.id == result.parent.parent.id
    assert plain(rebuilt) == plain(whole)


def test_results_of_a_workflow_lead_back_to_its_first_task() -> None:
    found = chain(s(1), group(s(2), s(3)), xsum(), s(4))
    kinds = [type(r).__name__ for r in lineage(found.freeze())]
    assert kinds == ["AsyncResult", "AsyncResult", "GroupResult", "AsyncResult"]
    ending = chain(s(1), group(s(2), s(3)))
    result = ending.freeze(_id="abc")
    assert [type(r).__name__ for r in lineage(result)] == ["GroupResult", "AsyncResult"]
    # Celery ignores the id of a group that is given here.
    assert result.id == "abc"


def test_a_chain_in_a_group_is_known_by_its_last_task() -> None:
    found = group(chain(s(1), s(2)), chord([s(3)], xsum()))
    result = found.freeze()
    last = found.tasks[0].kwargs["tasks"][-1]
    body = found.tasks[1].kwargs["body"]
    assert [r.id for r in result.results] == [last.id, body.id]
    assert [sig.options["group_index"] for sig in (last, body)] == [0, 1]
    assert last.options["group_id"] == body.options["group_id"] == found.id


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ([s(1), s(2)], 2),
        (
            [
                chain(s(1), group(s(2), s(3))),
                chord([s(1), s(1)], group(s(1), s(2), s(3))),
                group(s(1), s(2)),
            ],
            7,
        ),
        ([chain(s(1), group())], 1),
        ([chain(s(1), s(2))], 1),
        ([], 0),
    ],
)
def test_the_size_of_a_chord_is_how_many_ends_it_waits_for(header: Any, expected: int) -> None:
    assert chord(header, xsum()).__length_hint__() == expected


# Many items


def test_chunks_are_a_group_of_starmaps() -> None:
    parts = add.chunks(zip(range(5), range(5), strict=True), 2)
    found = parts.group()
    assert [type(t) for t in found.tasks] == [xstarmap] * 3
    assert [t.kwargs["it"] for t in found.tasks] == [[(0, 0), (1, 1)], [(2, 2), (3, 3)], [(4, 4)]]
    assert found.tasks[0].kwargs["task"] == add.s()
    assert add.chunks([], 2).group().tasks == []
    with pytest.raises(ValueError, match="above 0"):
        add.chunks([(1, 2)], 0)


def test_chunks_of_a_generator_are_made_when_they_are_taken() -> None:
    taken = 0

    def items() -> Iterator[tuple[int, int]]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number, number

    stream = add.chunks(items(), 10).group().stream()
    assert taken == 0
    next(stream)
    assert taken == 10


def test_options_of_chunks_are_options_of_their_tasks() -> None:
    """Celery drops them."""
    assert add.chunks([(1, 2)], 1).set(queue="q").group().options == {"queue": "q"}


def test_map_and_starmap_call_the_task_with_each_item() -> None:
    assert add.starmap([(1, 2), (3, 4)]).apply().get() == [3, 7]
    assert echo.map([1, 2]).apply().get() == [[(1,), {}], [(2,), {}]]
    assert xmap(add.s(10), iter([1, 2])).apply().get() == [11, 12]
    assert xmap(add.s(10), [1, 2])() == [11, 12]
    assert app.tasks["djtasks.accumulate"](1, 2) == [1, 2]
    assert app.tasks["djtasks.accumulate"](1, 2, index=1) == 2


@pytest.mark.usefixtures("own_registry")
def test_map_runs_coroutines_to_their_end() -> None:
    @shared_task
    async def double(number: int) -> int:
        return 2 * number

    assert double.map([1, 2]).apply().get() == [2, 4]


@pytest.mark.usefixtures("own_registry")
def test_map_goes_where_its_task_goes() -> None:
    @shared_task(queue="slow", priority=5)
    def work(number: int) -> None: ...

    routes = {"tests.testapp.tasks.add": {"queue": "sums"}}
    with (
        override_settings(DJTASKS={**settings.DJTASKS, "TASK_ROUTES": routes}),
        capture_tasks() as calls,
    ):
        work.map([1]).delay()
        work.map([1]).apply_async(queue="other")
        add.starmap([(1, 2)]).delay()
        echo.map(iter([(1, 2)])).apply_async(priority=3)
    assert [(call.name, dict(call.options)) for call in calls] == [
        ("djtasks.map", {"queue": "slow", "priority": 5}),
        ("djtasks.map", {"queue": "other", "priority": 5}),
        ("djtasks.starmap", {"queue": "sums"}),
        ("djtasks.map", {"priority": 3}),
    ]
    assert calls[3].kwargs["it"] == [[1, 2]]
    json.dumps(calls[3].kwargs)
    assert work.map([1]).clone().options == {}


# Calling


@pytest.mark.django_db
def test_they_are_sent_as_their_tasks() -> None:
    with capture_tasks() as calls:
        chain(add.s(1), add.s(2)).delay(10)
        group(add.s(1), add.s(2))(10)
        chord([add.s(1, 1)])(echo.s())
        chord([add.s(1)], echo.s()).apply_async((5,), queue="q", priority=None)
        assert chain()() is None
        add.chunks([(1, 2), (3, 4)], 1)()
    assert [(c.name.rpartition(".")[2], c.args) for c in calls[:7]] == [
        ("add", (10, 1)),
        ("add", (2,)),
        ("add", (10, 1)),
        ("add", (10, 2)),
        ("add", (1, 1)),
        ("echo", ()),
        ("add", (5, 1)),
    ]
    assert calls[7].options["queue"] == "q"
    assert "priority" not in calls[7].options
    assert [c.kwargs["it"] for c in calls[8:]] == [[[1, 2]], [[3, 4]]]


def test_they_run_here_too() -> None:
    assert chain(add.s(1, 2), add.s(3)).apply().get() == 6
    assert group(add.s(1), add.s(2)).apply((10,)).get() == [11, 12]
    whole = chord(add.s(i, i) for i in range(3))
    assert whole.apply(kwargs={"body": echo.s()}).get() == [([0, 2, 4],), {}]


def test_a_chord_runs_here_with_another_body_and_raises_if_asked() -> None:
    whole = chord([add.s(1, 1), add.s(2, 2)], echo.s())
    assert whole.apply(body=echo.s().set(immutable=True)).get() == [(), {}]
    broken = chord([add.s(1, "x")], echo.s())
    with pytest.raises(TypeError, match="unsupported operand"):
        broken.apply(propagate=True)
    assert broken.apply(propagate=False).state == "FAILURE"


@pytest.mark.django_db
def test_what_tunes_the_polling_of_a_chord_is_ignored() -> None:
    with capture_tasks() as calls:
        chord([add.s(1, 1)], echo.s()).apply_async(interval=0.5, max_retries=3)
        chord([add.s(1, 1)], interval=0.5)(echo.s(), max_retries=3)
    assert [call.options for call in calls] == [{}, {}, {}, {}]


def test_a_chord_without_a_body_is_not_sent() -> None:
    with pytest.raises(TypeError, match="This chord has no body"):
        chord([add.s(1, 1)])()


def test_maybe_signature_rebuilds_every_kind() -> None:
    for sig in every_kind().values():
        assert maybe_signature(sig) is sig
        assert type(maybe_signature(plain(sig))) is type(sig)
        assert maybe_signature(sig, clone=True) is not sig
        assert maybe_subtask(sig) is sig


def test_the_tasks_of_the_canvas_are_registered() -> None:
    names = {"djtasks.map", "djtasks.starmap", "djtasks.chunks", "djtasks.accumulate"}
    assert names <= set(app.tasks)


@pytest.mark.django_db
def test_workflows_are_among_many_calls() -> None:
    with capture_tasks() as calls:
        results = enqueue_many(
            [
                add.s(1, 1),
                chain(add.s(2, 2), add.s(3)),
                group(add.s(4, 4), add.s(5, 5)),
                add.starmap([(6, 6)]),
                add.chunks([(7, 7)], 1),
                (add, (8, 8)),
            ]
        )
    assert [(c.args or c.kwargs["it"])[0] for c in calls] == [1, 2, 3, 4, 5, [6, 6], [7, 7], 8]
    kinds = ["AsyncResult", "AsyncResult", "GroupResult", "AsyncResult", "GroupResult"]
    assert [type(r).__name__ for r in results] == [*kinds, "AsyncResult"]


def test_what_is_made_of_a_group_leaves_the_group_alone() -> None:
    """Celery lets them share their list."""
    for inner in (group([s(1)], priority=1), group([s(1)]), group(s(i) for i in (1,))):
        outer, whole = group(inner), chord(inner, xsum())
        before = plain(inner.clone())
        outer.tasks.append(s(2))
        whole.freeze()
        assert plain(inner) == before
