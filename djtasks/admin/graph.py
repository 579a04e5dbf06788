"""The workflow of a task as a drawing, with a table for those who cannot see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from djtasks.admin import query as q
from djtasks.browser.filter import findable
from djtasks.browser.graph import graph
from djtasks.look import states, times
from djtasks.look.drawing import Box, draw
from djtasks.look.text import one_line, short_name

if TYPE_CHECKING:
    from djtasks.admin.base import BrowserAdmin
    from djtasks.browser.graph import Graph, GraphNode
    from djtasks.browser.record import Record
    from djtasks.models import TaskRecord

__all__ = ["workflow"]


def workflow(page: BrowserAdmin[TaskRecord], record: Record) -> dict[str, Any]:
    """The drawing and a summary of it, for the template; nothing if it is alone."""
    root = record.root_id or record.id
    found = graph(root, current=record.id)
    if found is None:
        return {}
    boxes = [_box(page, node) for node in found.nodes]
    return {
        "graph": draw(boxes, found.edges, _("Workflow")),
        "graph_summary": _summary(found),
        "graph_rows": list(_rows(found, boxes)),
        "graph_url": page.url("taskrecord_changelist") + q.link(q.qualifier("root", str(root))),
    }


def _box(page: BrowserAdmin[TaskRecord], node: GraphNode) -> Box:
    name = short_name(node.task)
    if node.id is not None:
        word = str(states.look(node.state).word)
        href = page.url("taskrecord_change", node.id)
        note = times.duration(node.runtime) or word
    else:
        name = f"{_number(node.size)} \u00d7 {name}"
        query = findable(node.query)
        href = page.url("taskrecord_changelist") + q.link(query) if query else ""
        note = _done(node.counts)
    title = f"{one_line(node.task, 300)}\n{_counted(node.counts) or states.look(node.state).word}"
    return Box(
        key=node.key,
        column=node.column,
        name=name,
        title=title,
        state=node.state,
        note=note,
        href=href,
        current=node.is_current,
        counts=node.counts,
    )


def _done(counts: Mapping[str, int]) -> str:
    """How many of a group succeeded, and how many failed if any did."""
    succeeded, failed = counts.get("SUCCESS", 0), counts.get("FAILURE", 0)
    said = ngettext("%s done", "%s done", succeeded) % _number(succeeded)
    if failed:
        said += ", " + ngettext("%s failed", "%s failed", failed) % _number(failed)
    return said


def _summary(found: Graph) -> str:
    total = sum(found.counts.values())
    if found.is_partial:
        said = _("more than %s tasks, of which so many were looked at") % _number(total)
    else:
        said = ngettext("%s task", "%s tasks", total) % _number(total)
    said = _("%(tasks)s: %(states)s") % {"tasks": said, "states": _counted(found.counts)}
    if found.omitted:
        omitted = ngettext("%s is not drawn", "%s are not drawn", found.omitted)
        said = f"{said}; {omitted % _number(found.omitted)}"
    return said


def _counted(counts: Mapping[str, int]) -> str:
    """Counts by state in words, in the order of the states."""
    order = {state: place for place, state in enumerate(states.LOOKS)}
    ordered = sorted(counts.items(), key=lambda item: order.get(item[0], len(order)))
    # Translators: as in "12 failed". The state is in the singular, as it is said of one task.
    told = _("%(count)s %(state)s")
    return ", ".join(
        told % {"count": _number(count), "state": str(states.look(state).word).lower()}
        for state, count in ordered
    )


def _rows(found: Graph, boxes: list[Box]) -> Iterator[dict[str, Any]]:
    """What the drawing says, as rows of a table."""
    names = {box.key: box.name for box in boxes}
    before: dict[str, list[str]] = {}
    for source, target in found.edges:
        if source in names:
            before.setdefault(target, []).append(names[source])
    for box in boxes:
        after = before.get(box.key, [])
        yield {
            "name": box.name,
            "url": box.href,
            "state": box.state,
            "note": box.note,
            "after": ", ".join(after[:5]) + (" …" if len(after) > 5 else ""),
        }


def _number(value: int) -> str:
    return number_format(value, force_grouping=True)
