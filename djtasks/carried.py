"""What of a call travels with its message to the worker: options as JSON, links among them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from djtasks.canvas.signature import as_list
from djtasks.codec import encode_call, encode_result, storable
from djtasks.codec.types import TAG
from djtasks.exceptions import EncodeError
from djtasks.when import aware, seconds_of

TEXTS = ("shadow", "argsrepr", "kwargsrepr")
"""Options of a call that travel as texts."""


def travelling(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options of a call that are carried by the message for the worker, as JSON."""
    found: dict[str, Any] = {}
    get = options.get
    headers = get("headers")
    if headers is not None:
        found["headers"] = plain_json(name, "headers", headers)
    hard, soft = get("time_limit"), get("soft_time_limit")
    if hard is not None or soft is not None:
        found["timelimit"] = [
            _limit(name, "time_limit", hard),
            _limit(name, "soft_time_limit", soft),
        ]
    for option in ("ignore_result", "track_started"):
        if (flag := get(option)) is not None:
            found[option] = bool(flag)
    for option in TEXTS:
        if (text := get(option)) is not None:
            found[option] = storable(str(text))
    for option in ("link", "link_error"):
        if links := as_list(get(option)):
            found[option] = packed_links(name, option, links)
    if (group := get("group_id")) is not None:
        found["group"] = str(group)
        found["group_index"] = get("group_index")
    if stamped := get("stamped_headers"):
        stamps = {header: options[header] for header in stamped if header in options}
        found["stamped_headers"] = sorted(str(header) for header in stamped)
        found["stamps"] = plain_json(name, "stamps", stamps)
    return found


def options_of(carried: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a call, of which :func:`travelling` made what its message carries."""
    found = dict(carried)
    found.update(found.pop("stamps", None) or {})
    hard, soft = found.pop("timelimit", None) or (None, None)
    group_id = found.pop("group", None)
    # A call like this one is given its own.
    found.pop("lane", None)
    found.pop("fair", None)
    given = {"time_limit": hard, "soft_time_limit": soft, "group_id": group_id}
    found.update((name, value) for name, value in given.items() if value is not None)
    return found


def packed_links(name: str, option: str, links: Sequence[Any]) -> list[dict[str, Any]]:
    """Linked signatures as JSON that :func:`djtasks.signature` makes signatures from again."""
    packed = []
    for link in links:
        if not isinstance(link, Mapping) or not isinstance(link.get("task"), str):
            raise TypeError(
                f"Task {name}: {option} must be a signature or a list of them, such as "
                f"other_task.s(), not {link!r}."
            )
        packed.append(_packed(link))
    return packed


def _packed(link: Mapping[str, Any]) -> dict[str, Any]:
    task = link["task"]
    args, kwargs = tuple(link.get("args") or ()), dict(link.get("kwargs") or {})
    options = dict(link.get("options") or {})
    for option in ("eta", "expires", "countdown"):
        # What is relative stays so: it counts from when the link is enqueued.
        value = options.get(option)
        if isinstance(value, datetime):
            options[option] = aware(value).isoformat()
        elif isinstance(value, timedelta):
            options[option] = value.total_seconds()
    if "queue" in options:
        options["queue"] = getattr(options["queue"], "name", options["queue"])
    for option in ("link", "link_error"):
        if nested := as_list(options.get(option)):
            options[option] = packed_links(task, option, nested)
    packed: dict[str, Any] = {
        "task": task,
        "options": plain_json(task, "options", options),
        "subtask_type": link.get("subtask_type"),
        "immutable": bool(link.get("immutable")),
    }
    payload = encode_call(args, kwargs, task=task)
    if TAG in payload:
        # They have types that JSON does not; a signature made from this reads them.
        packed["payload"] = payload
    else:
        packed["args"], packed["kwargs"] = json.loads(payload)
    return packed


def _limit(name: str, option: str, value: Any) -> float | None:
    if value is None:
        return None
    seconds = seconds_of(f"Task {name}", option, value)
    if seconds <= 0:
        raise ValueError(f"Task {name}: {option} must be above 0 seconds, not {value!r}.")
    return seconds


def plain_json(name: str, what: str, value: Any) -> Any:
    """A copy of a mapping as JSON has it; :class:`EncodeError` if JSON cannot carry it."""
    if not isinstance(value, Mapping):
        raise TypeError(f"Task {name}: {what} must be a mapping, not {type(value).__name__}.")
    text = encode_result(dict(value), what=f"{what} of a call of task {name!r}")
    if TAG in text:
        raise EncodeError(
            f"Task {name}: {what} must be texts, numbers, lists and dicts, not {value!r}."
        )
    return json.loads(text)
