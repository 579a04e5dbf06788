"""The pages of the task browser: what they show to whom, safely, and with how many queries."""

from __future__ import annotations

import io
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from djtasks import chain, chord
from djtasks.browser import task as browser_task
from djtasks.look import json_text
from djtasks.models import Activity, Attempt, Message, Queue
from tests.admin_pages import (
    VIEW,
    a_worker,
    ended,
    failed,
    queued,
    read,
    rows,
    ruler,
    signed_in,
    url,
)
from tests.testapp.tasks import add

pytestmark = pytest.mark.usefixtures("empty")

LISTS = ("overview", "taskrecord", "queue", "worker")
"""Pages of what is only looked at; schedules have tests of their own."""
EVIL = "<script>alert(1)</script>\"'&\u202e\u2066"


def test_the_overview_comes_first_in_the_index_and_everywhere() -> None:
    client = ruler()
    page = read(client.get("/admin/djtasks/"))
    links = [link["href"] for link in page.all("a")]
    ours = [link for link in links if link in {url(f"{name}_changelist") for name in LISTS}]
    assert ours[0] == url("overview_changelist")
    for name in LISTS:
        page = read(client.get(url(f"{name}_changelist")))
        assert url("overview_changelist") in {link["href"] for link in page.all("a")}


@pytest.mark.parametrize("name", LISTS)
def test_who_may_not_see_a_page_is_refused(name: str) -> None:
    others = [permission for permission in VIEW if permission != f"view_{name}"]
    assert signed_in(*others).get(url(f"{name}_changelist")).status_code == 403


@pytest.mark.parametrize("name", LISTS)
def test_who_is_not_signed_in_is_sent_to_do_so(name: str) -> None:
    response = Client().get(url(f"{name}_changelist"))
    assert response.status_code == 302
    assert "/login/" in response.headers["Location"]


def test_tabs_lead_only_to_what_one_may_see() -> None:
    page = read(signed_in("view_queue").get(url("queue_changelist")))
    tabs = [link["href"] for link in page.all("a") if link["href"].startswith("/admin/djtasks/")]
    assert url("queue_changelist") in tabs
    assert not {url("overview_changelist"), url("worker_changelist")} & set(tabs)
    assert not [link for link in tabs if "taskrecord" in link]


def test_who_may_only_look_is_offered_nothing_to_do() -> None:
    task, waiting = failed(), queued()
    a_worker()
    Queue.objects.create(name="celery")
    client = signed_in(*VIEW)
    for path in [
        *(url(f"{name}_changelist") for name in LISTS),
        url("taskrecord_change", task.pk),
        url("taskrecord_change", waiting.pk),
    ]:
        page = read(client.get(path))
        assert page.buttons() == set(), path
        assert rows(page) == []
        assert not [link for link in page.all("a") if link["href"].endswith("/copy/")]


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("page", ["add/", "1/change/", "1/delete/", "1/history/", "x/"])
def test_the_admins_own_pages_add_change_and_delete_nothing(model: str, page: str) -> None:
    client = ruler()
    path = url(f"{model}_changelist") + page
    if page == "1/history/" and model == "taskrecord":
        assert "change history" in read(client.get(path)).text
        return
    assert client.get(path).status_code in (302, 403, 404), path
    assert client.post(path, {"post": "yes"}).status_code in (302, 403, 404, 405), path


# -- the list -------------------------------------------------------------------------------------


def test_every_task_is_in_the_list_whatever_became_of_it() -> None:
    scheduled = queued(state=1, eta=datetime.now(UTC) + timedelta(hours=1))
    messages = [queued(), scheduled, queued(state=2)]
    results = [ended(), failed(), ended(state="REVOKED")]
    page = read(ruler().get(url("taskrecord_changelist")))
    assert set(rows(page)) == {task.pk for task in [*messages, *results]}
    for word in ("Ready", "Scheduled", "Waiting", "Succeeded", "Failed", "Revoked"):
        assert word in page.text


def test_the_list_says_what_was_called_with_what_and_how_it_went() -> None:
    failed("no stock", queue="counter", args=[1, "a"], kwargs={"to": [2]}, rank=-7, retries=2)
    page = read(ruler().get(url("taskrecord_changelist")))
    for text in ("add", '1, "a", to=[2]', "ValueError: no stock", "counter", "7", "worker@here"):
        assert text in page.text
    assert "tests.testapp.tasks.add" in {element["title"] for element in page.all("bdi")}


def test_the_search_box_filters_and_keeps_what_was_typed() -> None:
    failed(queue="mail")
    wanted = failed(queue="counter")
    client = ruler()
    page = read(client.get(url("taskrecord_changelist"), {"q": "state:FAILURE queue:counter"}))
    assert rows(page) == [wanted.pk]
    assert [box["value"] for box in page.all("input", id="djt-q")] == [
        "state:FAILURE queue:counter"
    ]


def test_filters_are_links_that_add_to_the_search_or_replace_what_it_says() -> None:
    page = read(ruler().get(url("taskrecord_changelist"), {"q": "queue:mail state:READY pack"}))
    links = {link["href"] for link in page.all("a")}
    assert "?q=queue%3Amail+pack+state%3AFAILURE" in links
    assert "?q=queue%3Amail+pack" in links  # any state


def test_the_filter_offers_tasks_exceptions_queues_and_workers_that_there_are() -> None:
    failed(queue="mail")
    Queue.objects.create(name="mail")
    Activity.objects.create(
        span=3600, at=datetime.now(UTC), queue="mail", task="shop.tasks.pack", failed=1
    )
    page = read(ruler().get(url("taskrecord_changelist")))
    links = {link["href"]: link for link in page.all("a")}
    assert links["?q=task%3Ashop.tasks.pack"].text == "pack"
    assert links["?q=task%3Ashop.tasks.pack"]["title"] == "shop.tasks.pack"
    assert links["?q=exception%3AValueError"].text == "ValueError"
    assert links["?q=queue%3Amail"].text == "mail"
    assert not [element for element in page.all("h3") if element["id"] == "djt-filter-worker"]


@pytest.mark.parametrize(
    "query", ["task:=shop.pack", "worker:host", "exception:KeyError", "since:5h", "queue:none"]
)
def test_a_filter_shows_what_was_typed_though_it_would_not_offer_it(query: str) -> None:
    page = read(ruler().get(url("taskrecord_changelist"), {"q": query}))
    chosen = [link for link in page.all("a") if link["aria-current"] == "true"]
    assert query.partition(":")[2] in [link.text for link in chosen]


def test_a_workflow_that_was_chosen_can_be_left_again() -> None:
    root = str(queued().pk)
    page = read(ruler().get(url("taskrecord_changelist"), {"q": f"root:{root} state:READY"}))
    (heading,) = [e for e in page.all("h3") if e["id"] == "djt-filter-root"]
    assert heading.text == "Workflow"
    assert "?q=state%3AREADY" in {link["href"] for link in page.all("a")}


def test_a_wrong_qualifier_is_told_with_those_that_there_are() -> None:
    response = ruler().get(url("taskrecord_changelist"), {"q": "que:mail"})
    page = read(response)
    errors = [element.text for element in page.all("p", class_="errornote")]
    assert len(errors) == 1
    assert "queue" in errors[0]
    assert rows(page) == []


@pytest.mark.parametrize("cursor", ["x", "\0", "9" * 1000, "-1"])
def test_a_cursor_that_is_none_of_ours_does_no_harm(cursor: str) -> None:
    response = ruler().get(url("taskrecord_changelist"), {"after": cursor})
    assert response.status_code == 200


def test_older_and_newer_pages_hold_every_task_once() -> None:
    tasks = {ended().pk for _ in range(120)}
    client = ruler()
    seen, address = [], url("taskrecord_changelist")
    while address:
        page = read(client.get(address))
        seen += rows(page)
        further = [link["href"] for link in page.all("a", rel="next")]
        address = url("taskrecord_changelist") + further[0] if further else ""
    assert len(seen) == len(tasks)
    assert set(seen) == tasks
    back = [link["href"] for link in page.all("a", rel="prev")]
    page = read(client.get(url("taskrecord_changelist") + back[0]))
    assert rows(page) == seen[50:100] or rows(page) == seen[20:70]


def test_redacted_arguments_are_on_no_page() -> None:
    options = json.dumps({"argsrepr": "(card ending in 42)", "kwargsrepr": "{}"})
    task = failed(args=["4000123412341234"], options=options)
    waiting = queued(args=["4000123412341234"], options=options)
    client = ruler()
    for path in [
        url("taskrecord_changelist"),
        url("taskrecord_change", task.pk),
        url("taskrecord_change", waiting.pk),
        url("taskrecord_copy", task.pk),
    ]:
        html = read(client.get(path)).html
        assert "4000123412341234" not in html, path
        assert ("card ending in 42" in html) is not path.endswith("/copy/")


# -- one task -------------------------------------------------------------------------------------


def test_a_failed_task_tells_its_story() -> None:
    task = failed(retries=1)
    Attempt.objects.create(
        task_id=task.pk,
        number=1,
        state="RETRY",
        exception="TimeoutError",
        message="nobody answered",
        worker="worker@there",
        started_at=datetime.now(UTC) - timedelta(minutes=1),
        runtime=0.5,
    )
    page = read(ruler().get(url("taskrecord_change", task.pk)))
    for text in ("Enqueued", "nobody answered", "worker@there", "500 ms", "Failed", "it broke"):
        assert text in page.text
    assert "order.take()" in "".join(element.text for element in page.all("code"))
    assert {"retry", "delete"} <= page.buttons()
    assert not {"revoke", "terminate", "run_now"} & page.buttons()


@pytest.mark.parametrize(
    ("state", "offered"),
    [(0, {"move", "revoke"}), (1, {"move", "revoke", "run_now"}), (2, {"move", "revoke"})],
)
def test_buttons_fit_the_state_of_a_queued_task(state: int, offered: set[str]) -> None:
    eta = datetime.now(UTC) + timedelta(hours=1) if state == 1 else None
    task = queued(state=state, eta=eta)
    assert read(ruler().get(url("taskrecord_change", task.pk))).buttons() == {*offered, "pause"}


def test_a_result_is_shown_as_json() -> None:
    task = ended(result='{"total": "12.50"}')
    page = read(ruler().get(url("taskrecord_change", task.pk)))
    assert '{"total": "12.50"}' in page.text


def test_a_task_is_found_by_the_id_that_its_caller_gave() -> None:
    add.apply_async((1, 2), task_id="order-42")
    page = read(ruler().get(url("taskrecord_change", "order-42")))
    assert "order-42" in page.text


@pytest.mark.parametrize("object_id", ["0199d000-0000-7000-8000-000000000000", "x" * 300])
def test_a_task_that_nobody_knows_leads_back_to_the_list(object_id: str) -> None:
    response = ruler().get(url("taskrecord_change", object_id), follow=True)
    assert response.redirect_chain[-1][0] == url("taskrecord_changelist")
    assert "There is no task" in response.content.decode()


def test_a_workflow_is_drawn_and_told_in_a_table() -> None:
    chain(add.s(1, 1), chord([add.s(n) for n in range(20)], add.si(3, 4))).delay()
    last = Message.objects.latest("id")
    page = read(ruler().get(url("taskrecord_change", last.pk)))
    assert list(page.all("svg", class_="djt-graph"))
    assert "20 \u00d7 add" in page.text
    assert "22 tasks: 1 ready, 21 waiting" in page.text


# -- safety ---------------------------------------------------------------------------------------


def evil_rows() -> list[Any]:
    deep: Any = EVIL
    for _ in range(300):
        deep = [deep]
    return [
        failed(EVIL, EVIL, task=EVIL, queue=EVIL, worker=EVIL, args=[EVIL], kwargs={EVIL: EVIL}),
        ended(args=[deep], result=json.dumps(deep), options=json.dumps({"headers": {EVIL: EVIL}})),
        ended(result=json.dumps("x" * 5_000_000)),
        ended(result="{no JSON" + EVIL, options="[", children="{"),
        failed("y" * 1_000_000, traceback="z\n" * 500_000),
        queued(EVIL, queue=EVIL, options=json.dumps({"argsrepr": EVIL})),
        ended(state=EVIL),
    ]


def every_page(tasks: list[Any]) -> list[str]:
    return [
        *(url(f"{name}_changelist") for name in LISTS),
        url("taskrecord_changelist") + "?q=" + "que:" + "%3Cscript%3E",
        *(url("taskrecord_change", task.pk) for task in tasks),
        *(url("taskrecord_copy", task.pk) for task in tasks),
        *(url("taskrecord_history", task.pk) for task in tasks),
    ]


def test_whatever_tasks_contain_is_shown_and_does_nothing() -> None:
    tasks = evil_rows()
    a_worker(hostname=EVIL, running=json.dumps([{"id": str(tasks[0].pk), "task": EVIL}]))
    Queue.objects.create(name=EVIL + "2", paused_at=datetime.now(UTC), reason=EVIL)
    client = ruler()
    for path in every_page(tasks):
        page = read(client.get(path))
        assert page.forbidden() == [], path
        assert "<script>alert" not in page.html, path
        if "/history/" not in path:  # the admin's own page
            assert "\u202e" not in page.text, path
            for element in page.elements:
                # A value that a form sends back has to be as it is.
                shown = [text for name, text in element.attributes.items() if name != "value"]
                assert not any("\u202e" in (text or "") for text in shown), (path, element)
        assert len(page.html) < 1_000_000, path


def test_no_page_has_what_a_strict_content_policy_forbids() -> None:
    task = failed()
    chord([add.s(n, n) for n in range(3)], add.si(1, 1)).delay()
    waiting = Message.objects.exclude(after=None).get()
    a_worker()
    client = ruler()
    for path in every_page([task, waiting]):
        page = read(client.get(path))
        assert page.forbidden() == [], path


def test_ids_on_a_page_are_there_once() -> None:
    task = failed()
    queued()
    a_worker()
    client = ruler()
    for path in every_page([task]):
        ids = [element["id"] for element in read(client.get(path)).elements if element["id"]]
        assert len(ids) == len(set(ids)), path


def test_parts_for_a_page_that_is_open_come_without_its_frame() -> None:
    queued()
    a_worker()
    client = ruler()
    for name in LISTS:
        path = url(f"{name}_changelist")
        whole = read(client.get(path))
        parts = read(client.get(path, headers={"X-Djtasks-Live": "1"}))
        live = {element["id"] for element in whole.elements if "data-live" in element.attributes}
        assert live
        assert {
            element["id"] for element in parts.elements if "data-live" in element.attributes
        } == live
        assert 'id="user-tools"' not in parts.html


# -- costs ----------------------------------------------------------------------------------------


def queries(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        client.get(path)
    return len(captured)


@pytest.mark.parametrize("name", LISTS)
def test_more_rows_are_not_more_queries(name: str) -> None:
    client = ruler()
    path = url(f"{name}_changelist")
    for number in range(2):
        queued(queue=f"q{number}")
        failed(exception=f"E{number}", queue=f"q{number}")
        a_worker(pid=number)
    before = queries(client, path)
    for number in range(2, 30):
        queued(queue=f"q{number}")
        failed(exception=f"E{number}", queue=f"q{number}")
        a_worker(pid=number)
    assert queries(client, path) <= before + 2


def test_a_task_of_a_large_workflow_costs_no_more_queries() -> None:
    client = ruler()
    counted = []
    for size in (10, 300):
        chord([add.s(n, n) for n in range(size)], add.si(1, 1)).delay()
        waiting = Message.objects.filter(state=2).latest("enqueued_at")
        counted.append(queries(client, url("taskrecord_change", waiting.pk)))
        Message.objects.all().delete()
    assert counted[1] <= counted[0] + 2


# --- what is shown where ------------------------------------------------------------------------


def test_rows_of_models_without_a_table_are_none_for_dumpdata() -> None:
    out = io.StringIO()
    call_command("dumpdata", "djtasks", stdout=out)
    call_command("dumpdata", "djtasks", "--all", stdout=out)
    assert out.getvalue() == "[]\n[]\n" or out.getvalue() == "[][]"


def test_parts_that_may_appear_later_have_their_place_on_the_page() -> None:
    """What is fetched anew can only replace what is there."""
    client = ruler()
    page = read(client.get(url("taskrecord_change", queued().pk)))
    live = {element["id"] for element in page.elements if "data-live" in element.attributes}
    assert live >= {"djt-head", "djt-failure", "djt-workflow", "djt-texts", "djt-aside"}
    empty = read(client.get(url("taskrecord_changelist"), {"q": "state:WAITING"}))
    assert list(empty.all("select", id="djt-action"))


def test_who_may_only_run_tasks_can_run_copies() -> None:
    task = ended()
    client = signed_in("view_taskrecord", "run_task")
    page = read(client.get(url("taskrecord_change", task.pk)))
    assert url("taskrecord_copy", task.pk) in {link["href"] for link in page.all("a")}


def test_nobody_is_sent_to_lists_that_they_may_not_see() -> None:
    queued(enqueued_at=datetime.now(UTC) - timedelta(hours=1))
    failed()
    page = read(signed_in("view_overview").get(url("overview_changelist")))
    hrefs = {link["href"].partition("?")[0] for link in page.all("a")}
    assert not hrefs & {url(f"{name}_changelist") for name in ("taskrecord", "queue", "worker")}


def test_a_task_waits_from_its_time_on_and_keeps_it() -> None:
    now = datetime.now(UTC)
    times: dict[str, Any] = {"enqueued_at": now - timedelta(days=1), "started_at": now}
    task = ended(eta=now - timedelta(seconds=2), **times)
    client = ruler()
    page = read(client.get(url("taskrecord_change", task.pk)))
    assert "2.00 s" in page.text
    assert "Was due" in page.text
    step = ended(after=uuid4(), **times)
    assert "Waited" not in read(client.get(url("taskrecord_change", step.pk))).text


def test_what_runs_is_counted_as_the_list_shows_it() -> None:
    worker = a_worker(busy=1)
    for _ in range(5):
        queued(worker_id=worker.pk, started_at=datetime.now(UTC))
    client = ruler()
    tiles = [tile.text for tile in read(client.get(url("overview_changelist"))).all("a")]
    assert any(tile.split() == ["Running", "5"] for tile in tiles)


@override_settings(USE_TZ=False)
def test_what_workers_run_is_shown_without_time_zones_too() -> None:
    task = queued()
    run = {"id": task.pk.hex, "task": "shop.pack", "since": time.time() - 5, "slot": 0, "pid": 1}
    a_worker(busy=1, running=json.dumps([run]))
    page = read(ruler().get(url("worker_changelist")))
    assert "pack" in page.text


def test_pages_of_rows_and_their_history_lead_to_the_other_pages() -> None:
    Queue.objects.create(name="mail")
    worker, task = a_worker(), ended()
    client = ruler()
    key: Any
    for name, key in (("queue", "mail"), ("worker", worker.pk)):
        answer = client.get(url(f"{name}_change", key))
        assert (answer.status_code, answer.headers["Location"]) == (302, url(f"{name}_changelist"))
    for name, key in (("queue", "mail"), ("worker", worker.pk), ("taskrecord", task.pk)):
        page = read(client.get(url(f"{name}_history", key)))
        assert url("overview_changelist") in {link["href"] for link in page.all("a")}
        assert page.forbidden() == []


# --- far too much of everything ------------------------------------------------------------------


def test_names_of_megabytes_do_not_make_pages_of_megabytes() -> None:
    huge = "x" * 5_000_000
    task = ended(task=huge, queue=huge, worker=huge, custom_id=huge)
    client = ruler()
    for path in (
        url("taskrecord_changelist"),
        url("taskrecord_change", task.pk),
        url("taskrecord_copy", task.pk),
        url("overview_changelist"),
    ):
        assert len(read(client.get(path)).html) < 300_000, path


def test_meta_of_megabytes_is_shown_quickly_and_cut() -> None:
    task = queued()
    meta = json.dumps(list(range(700_000)))
    ended(id=task.pk, state="PROGRESS", date_done=None, result=meta)
    view = browser_task.task(task.pk)
    assert view is not None
    assert view.meta is not None
    began = time.process_time()
    shown = json_text.pretty(view.meta)
    assert time.process_time() - began < 1
    assert 100_000 < len(shown) < 100_100


def test_a_line_number_of_5000_digits_is_none() -> None:
    trace = 'Traceback:\n  File "/a/b.py", line ' + "9" * 5000 + ", in f\n"
    task = failed(traceback=trace)
    read(ruler().get(url("taskrecord_change", task.pk)))


def test_a_failure_that_no_search_can_name_has_no_button() -> None:
    failed(task="x" * 2500)
    page = read(ruler().get(url("overview_changelist")))
    assert list(page.all("input", name="q")) == []


def test_what_is_left_out_of_meta_is_told() -> None:
    task = queued()
    meta = json.dumps([[list(range(200_000))]])
    ended(id=task.pk, state="PROGRESS", date_done=None, result=meta)
    page = read(ruler().get(url("taskrecord_change", task.pk)))
    told = re.search(r"([\d,]+) more characters are not shown", page.text)
    assert told is not None
    assert int(told[1].replace(",", "")) > 1_000_000


def test_a_group_of_a_workflow_that_no_search_can_name_has_no_link() -> None:
    root = ended(task="shop.start")
    for _ in range(50):
        step = queued(task="shop." + "x" * 2_500, root_id=root.pk, parent_id=root.pk)
    page = read(ruler().get(url("taskrecord_change", step.pk)))
    assert list(page.all("svg", class_="djt-graph"))
    assert max(len(link["href"]) for link in page.all("a")) < 2_000


def test_a_name_in_the_overview_that_no_search_can_name_has_no_link() -> None:
    now = datetime.now(UTC)
    for task, queue in (("shop.pack", "mail"), ("t" * 2_500, "q" * 2_500)):
        Activity.objects.create(span=60, at=now, queue=queue, task=task, succeeded=9, failed=9)
    page = read(ruler().get(url("overview_changelist")))
    asked = [link["href"] for link in page.all("a") if "?q=" in link["href"]]
    assert max(len(href) for href in asked) < 2_000
    for word in ("task%3A%3Dshop.pack+since", "FAILURE+task%3A%3Dshop.pack", "queue%3Amail"):
        assert [href for href in asked if word in href], word
    # What fails is noted without a link, rather than with one to all tasks.
    assert len([note for note in page.all("li", class_="djt-severe") if "ttt" in note.text]) == 1
    assert not [link for link in page.all("a") if "ttt" in link.text or "qqq" in link.text]


def test_a_value_that_no_search_can_name_has_no_link() -> None:
    client = ruler()
    task = ended(queue="q" * 2_500, worker="w" * 2_500)
    page = read(client.get(url("taskrecord_change", task.pk)))
    assert not [link for link in page.all("a") if "queue%3A" in link["href"]]
    assert not [link for link in page.all("a") if "worker%3A" in link["href"]]
    other = read(client.get(url("taskrecord_change", ended(queue="mail").pk)))
    assert [link for link in other.all("a") if "queue%3Amail" in link["href"]]
