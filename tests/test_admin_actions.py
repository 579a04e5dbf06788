"""Doing something from the admin: who may, what is asked before, what happens, what is logged."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import DatabaseError
from django.test import Client
from django.urls import resolve

from djtasks import control
from djtasks.models import Attempt, Message, Queue, TaskResult, Worker
from tests.admin_pages import a_worker, ended, failed, queued, read, ruler, signed_in, url
from tests.testapp.tasks import add, fail

pytestmark = pytest.mark.usefixtures("empty")

PERMISSIONS = {
    "retry": "retry_task",
    "retry_as_new": "retry_task",
    "run_now": "run_task",
    "move": "move_task",
    "revoke": "revoke_task",
    "terminate": "revoke_task",
    "delete": "delete_taskrecord",
}


def act(client: Client, action: str, *ids: UUID, **data: Any) -> Any:
    """Send the form of the list."""
    given = {"action": action, "_selected_action": [str(task_id) for task_id in ids], **data}
    return client.post(url("taskrecord_action"), given)


def confirmed(client: Client, action: str, *ids: UUID, **data: Any) -> Any:
    """Send the form, read what is asked, and answer yes."""
    page = read(act(client, action, *ids, **data))
    assert page.forbidden() == []
    fields = [(box["name"], box["value"]) for box in page.all("input", type="hidden")]
    answer: dict[str, list[str]] = {}
    for name, value in fields:
        answer.setdefault(name, []).append(value)
    answer.update({name: [str(value)] for name, value in data.items()})
    return client.post(url("taskrecord_action"), answer)


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


# -- who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", PERMISSIONS)
def test_an_action_needs_its_permission(action: str) -> None:
    task = failed()
    others = {*PERMISSIONS.values(), "view_taskrecord"} - {PERMISSIONS[action]}
    client = signed_in(*others)
    assert act(client, action, task.pk).status_code == 403
    assert act(client, action, task.pk, confirmed="yes").status_code == 403
    assert TaskResult.objects.filter(pk=task.pk).exists()
    assert not LogEntry.objects.exists()


def test_the_list_offers_what_one_may_do() -> None:
    failed()
    client = signed_in("view_taskrecord", "retry_task", "delete_taskrecord")
    page = read(client.get(url("taskrecord_changelist")))
    assert page.buttons() == {"retry", "retry_as_new", "delete"}


@pytest.mark.parametrize("name", ["taskrecord_action", "queue_action", "worker_action"])
def test_nothing_is_done_by_following_a_link(name: str) -> None:
    task = failed()
    response = ruler().get(
        url(name), {"action": "retry", "_selected_action": str(task.pk), "confirmed": "yes"}
    )
    assert response.status_code == 405
    assert TaskResult.objects.filter(pk=task.pk).exists()


@pytest.mark.parametrize("name", ["taskrecord_action", "queue_action", "worker_action"])
def test_nothing_is_done_for_a_form_of_another_site(name: str) -> None:
    client = ruler()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    data = {"action": "pause", "queue": "mail", "confirmed": "yes"}
    assert strict.post(url(name), data).status_code == 403
    assert not Queue.objects.exists()


def test_who_is_not_signed_in_does_nothing() -> None:
    task = failed()
    assert act(Client(), "retry", task.pk).status_code == 302
    assert TaskResult.objects.filter(pk=task.pk).exists()


# -- one task -------------------------------------------------------------------------------------


def test_one_task_is_retried_at_once_and_its_history_says_who_did_it() -> None:
    task = failed(task=fail.name, args=["x"])
    client = ruler()
    page = url("taskrecord_change", task.pk)
    response = act(client, "retry", task.pk, back=page)
    assert (response.status_code, response.headers["Location"]) == (302, page)
    assert "Retried 1 task" in said(response)
    assert Message.objects.filter(pk=task.pk).exists()
    assert Attempt.objects.get().task_id == task.pk
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.get_username()) == (str(task.pk), "ada")
    assert entry.get_admin_url() == page
    history = read(client.get(url("taskrecord_history", task.pk)))
    assert "Retried 1 task" in history.text


def test_a_scheduled_task_is_run_now() -> None:
    task = queued(state=1, eta=datetime.now(UTC) + timedelta(hours=1))
    act(ruler(), "run_now", task.pk)
    assert Message.objects.get(pk=task.pk).state == 0


def test_a_task_is_revoked_with_a_reason_after_a_question() -> None:
    task = queued()
    client = ruler()
    page = read(act(client, "revoke", task.pk))
    assert "1" in "".join(element.text for element in page.all("ul", class_="djt-sum"))
    assert Message.objects.filter(pk=task.pk).exists()
    confirmed(client, "revoke", task.pk, reason="sent twice")
    result = TaskResult.objects.get(pk=task.pk)
    assert result.state == "REVOKED"
    assert "sent twice" in str(result.result)


def test_a_task_is_moved_to_another_queue() -> None:
    task = queued()
    response = confirmed(ruler(), "move", task.pk, queue="slow", priority=3)
    message = Message.objects.get(pk=task.pk)
    assert (message.queue, message.priority) == ("slow", 3)
    assert "Moved 1 task" in said(response)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [({}, "Give a queue"), ({"priority": "x"}, "whole number"), ({"priority": 2**40}, "less than")],
)
def test_a_move_to_nowhere_is_asked_again(data: dict[str, Any], complaint: str) -> None:
    task = queued()
    page = read(act(ruler(), "move", task.pk, confirmed="yes", **data))
    assert complaint in page.text
    assert Message.objects.get(pk=task.pk).queue == "celery"


def test_what_is_refused_below_is_told() -> None:
    task = queued()
    page = read(act(ruler(), "move", task.pk, confirmed="yes", queue="ü" * 128))
    assert Message.objects.get(pk=task.pk).queue == "celery"
    assert "at most 255 bytes" in page.text
    assert "ü" * 128 in {box["value"] for box in page.all("input", name="queue")}


# -- many -----------------------------------------------------------------------------------------


def test_a_selection_is_counted_with_reasons_before_anything_is_done() -> None:
    tasks = [failed(task=fail.name).pk for _ in range(3)]
    others = [ended().pk, queued().pk]
    page = read(act(ruler(), "retry", *tasks, *others))
    counts = [element.text for element in page.all("b")]
    assert counts[:3] == ["3", "1", "1"]
    assert "it succeeded" in page.text
    assert "it is queued" in page.text
    assert TaskResult.objects.filter(state="FAILURE").count() == 3


def test_a_selection_is_retried_and_logged_for_each_that_was() -> None:
    tasks = [failed(task=fail.name).pk for _ in range(3)]
    client = ruler()
    response = confirmed(client, "retry", *tasks, ended().pk)
    assert response.status_code == 302
    assert "Retried 3 tasks. Passed over: it succeeded (1)." in said(response)
    assert set(Message.objects.values_list("pk", flat=True)) == set(tasks)
    assert set(LogEntry.objects.values_list("object_id", flat=True)) == set(map(str, tasks))
    history = read(client.get(url("taskrecord_history", tasks[0])))
    assert "Retried 3 tasks" in history.text


def test_all_that_match_are_retried_and_the_log_says_the_search() -> None:
    tasks = {failed(task=fail.name, queue="mail").pk for _ in range(60)}
    failed(queue="other")
    client = ruler()
    data = {"select_across": "1", "q": "state:FAILURE queue:mail"}
    page = read(act(client, "retry", **data))
    assert "60" in "".join(element.text for element in page.all("ul", class_="djt-sum"))
    confirmed(client, "retry", **data)
    assert set(Message.objects.values_list("pk", flat=True)) == tasks
    assert "state:FAILURE queue:mail" in LogEntry.objects.get().object_repr


def test_what_was_done_before_something_broke_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(5):
        failed(task=fail.name)
    retry = control.retry
    left = [2]

    def breaking(ids: Any, **options: Any) -> Any:
        if not left[0]:
            raise DatabaseError("the server went away")
        left[0] -= 1
        return retry(ids, **options)

    monkeypatch.setattr("djtasks.control.choosing.BATCH", 2)
    monkeypatch.setattr(control, "retry", breaking)
    with pytest.raises(DatabaseError):
        confirmed(ruler(), "retry", select_across="1", q="state:FAILURE")
    assert Message.objects.count() == 4
    assert "4 tasks" in LogEntry.objects.get().change_message


def test_each_batch_is_committed_where_requests_are_transactions() -> None:
    """Else the workers would see nothing of 10,000 retries before the last of them was written."""
    for name in ("taskrecord", "queue", "worker"):
        view: Any = resolve(url(f"{name}_action")).func
        assert view._non_atomic_requests == {"default"}


def test_a_purge_that_did_not_come_to_an_end_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaking(queue: str) -> int:
        raise DatabaseError("the server went away")

    monkeypatch.setattr(control, "purge", breaking)
    with pytest.raises(DatabaseError):
        ruler().post(url("queue_action"), {"action": "purge", "queue": "mail", "confirmed": "yes"})
    assert "did not come to an end" in LogEntry.objects.get().change_message


@pytest.mark.parametrize("action", ["pause", "resume", "purge"])
def test_a_queue_whose_name_cannot_be_is_refused(action: str) -> None:
    data = {"action": action, "queue": "a\0b", "confirmed": "yes"}
    assert ruler().post(url("queue_action"), data).status_code == 400


def test_a_failure_group_of_the_overview_is_retried_and_no_other() -> None:
    tasks = {failed(task=fail.name, exception="Gone").pk for _ in range(5)}
    failed(task=fail.name, exception="Lost")
    failed(task=add.name, exception="Gone")
    client = ruler()
    page = read(client.get(url("overview_changelist")))
    queries = [box["value"] for box in page.all("input", name="q")]
    assert len(queries) == 3
    wanted = [query for query in queries if "Gone" in query and fail.name in query]
    confirmed(client, "retry", select_across="1", q=wanted[0])
    assert set(Message.objects.values_list("pk", flat=True)) == tasks


def test_retried_as_new_tasks_have_ids_of_their_own() -> None:
    task = failed(task=fail.name)
    confirmed(ruler(), "retry_as_new", task.pk)
    assert TaskResult.objects.filter(pk=task.pk).exists()
    assert Message.objects.get().pk != task.pk


def test_results_are_deleted_and_queued_tasks_are_not() -> None:
    waiting = queued()
    response = confirmed(ruler(), "delete", failed().pk, waiting.pk)
    assert not TaskResult.objects.exists()
    assert Message.objects.filter(pk=waiting.pk).exists()
    assert "revoke it first" in said(response)


def test_where_nothing_can_be_done_there_is_no_button_to_do_it() -> None:
    page = read(act(ruler(), "terminate", queued().pk))
    assert list(page.all("button", class_="djt-first")) == []
    assert "it does not run" in page.text


def test_nothing_selected_and_no_action_are_told() -> None:
    client = ruler()
    assert "No task is selected" in said(act(client, "retry"))
    assert "No action selected" in said(act(client, "", failed().pk))
    assert "No action selected" in said(act(client, "explode", failed().pk))


@pytest.mark.parametrize(
    "data",
    [
        {"_selected_action": ["nonsense"]},
        {"select_across": "1", "q": "que:mail"},
    ],
)
def test_a_form_that_is_none_of_ours_is_refused(data: dict[str, Any]) -> None:
    response = ruler().post(url("taskrecord_action"), {"action": "retry", **data})
    assert response.status_code == 400


def test_a_task_that_is_gone_is_told() -> None:
    response = act(ruler(), "retry", uuid4())
    assert "nothing is known of it" in said(response)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:x", ""])
def test_one_is_sent_back_to_this_site_only(back: str) -> None:
    response = act(ruler(), "retry", failed().pk, back=back)
    assert response.headers["Location"] == url("taskrecord_changelist")


# -- a copy ---------------------------------------------------------------------------------------


def test_a_copy_is_run_with_the_arguments_that_were_edited() -> None:
    task = ended(task=add.name, args=[1, 2])
    client = ruler()
    page = read(client.get(url("taskrecord_copy", task.pk)))
    assert [json.loads(area.text) for area in page.all("textarea")] == [[1, 2], {}]
    response = client.post(
        url("taskrecord_copy", task.pk),
        {"args": "[3, 4]", "kwargs": "{}", "queue": "slow", "priority": "5"},
    )
    message = Message.objects.get()
    assert response.headers["Location"] == url("taskrecord_change", message.pk)
    assert (json.loads(message.payload or ""), message.queue, message.priority) == (
        [[3, 4], {}],
        "slow",
        5,
    )
    assert LogEntry.objects.get().object_id == str(task.pk)


@pytest.mark.parametrize(
    ("args", "kwargs", "complaint"),
    [
        ("[1", "{}", "no JSON"),
        ("{}", "{}", "list"),
        ("[]", "[]", "object"),
        ("[1, 2, 3, 4]", "{}", "argument"),
        ("[" * 50_000, "{}", "deep"),
        ("[" * 900 + "]" * 900, "{}", ""),
    ],
)
def test_arguments_that_cannot_be_are_told(args: str, kwargs: str, complaint: str) -> None:
    task = ended(task=add.name, args=[1, 2])
    response = ruler().post(url("taskrecord_copy", task.pk), {"args": args, "kwargs": kwargs})
    page = read(response)
    errors = "".join(element.text for element in page.all("ul", class_="errorlist"))
    assert errors
    assert complaint in errors
    assert not Message.objects.exists()


def test_a_copy_of_private_arguments_has_them_without_showing_them() -> None:
    task = ended(task=add.name, args=[1, 2], options=json.dumps({"argsrepr": "(secret)"}))
    client = ruler()
    page = read(client.get(url("taskrecord_copy", task.pk)))
    assert list(page.all("textarea")) == []
    client.post(url("taskrecord_copy", task.pk), {})
    assert json.loads(Message.objects.get().payload or "") == [[1, 2], {}]


def test_a_copy_needs_its_permission() -> None:
    task = ended()
    client = signed_in("view_taskrecord", "retry_task")
    assert client.get(url("taskrecord_copy", task.pk)).status_code == 403
    assert client.post(url("taskrecord_copy", task.pk), {}).status_code == 403
    assert not Message.objects.exists()


# -- queues ---------------------------------------------------------------------------------------


def on_queue(client: Client, action: str, **data: Any) -> Any:
    return client.post(url("queue_action"), {"action": action, "queue": "mail", **data})


def test_a_queue_is_paused_with_a_reason_and_resumed() -> None:
    client = ruler()
    page = read(on_queue(client, "pause"))
    assert "mail" in page.text
    assert not Queue.objects.exists()
    on_queue(client, "pause", confirmed="yes", reason="the relay is down")
    queue = Queue.objects.get(name="mail")
    assert queue.paused_at is not None
    assert "the relay is down" in read(client.get(url("queue_changelist"))).text
    assert "Resumed" in said(on_queue(client, "resume"))
    assert Queue.objects.get(name="mail").paused_at is None
    assert [entry.object_id for entry in LogEntry.objects.all()] == ["mail", "mail"]


def test_a_queue_is_purged_after_its_tasks_were_counted() -> None:
    for _ in range(7):
        queued(queue="mail")
    queued(queue="other")
    client = ruler()
    page = read(on_queue(client, "purge"))
    assert "7" in "".join(element.text for element in page.all("ul", class_="djt-sum"))
    assert Message.objects.count() == 8
    response = on_queue(client, "purge", confirmed="yes")
    assert "Discarded 7 tasks" in said(response)
    assert Message.objects.get().queue == "other"
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("action", "permission"),
    [("pause", "pause_queue"), ("resume", "pause_queue"), ("purge", "purge_queue")],
)
def test_what_is_done_to_queues_needs_its_permission(action: str, permission: str) -> None:
    queued(queue="mail")
    others = {"pause_queue", "purge_queue", "view_queue"} - {permission}
    assert on_queue(signed_in(*others), action, confirmed="yes").status_code == 403
    assert Message.objects.exists()
    assert not Queue.objects.exists()


def test_a_queue_that_cannot_be_is_told() -> None:
    client = ruler()
    response = client.post(
        url("queue_action"), {"action": "pause", "queue": "", "confirmed": "yes", "reason": ""}
    )
    assert response.status_code == 302
    assert said(response)


# -- workers --------------------------------------------------------------------------------------


def on_worker(client: Client, action: str, worker: Worker, **data: Any) -> Any:
    return client.post(url("worker_action"), {"action": action, "worker": worker.pk, **data})


def orders(worker: Worker) -> Any:
    worker.refresh_from_db()
    return json.loads(worker.orders or "{}")


def test_a_worker_is_told_to_be_quiet_and_not_to_be() -> None:
    worker = a_worker()
    client = ruler()
    on_worker(client, "quiet", worker)
    assert orders(worker) == {"quiet": True}
    on_worker(client, "unquiet", worker)
    assert not orders(worker).get("quiet")
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(worker.pk)] * 2


def test_a_worker_is_told_to_stop_after_a_question() -> None:
    worker = a_worker()
    client = ruler()
    page = read(on_worker(client, "stop", worker))
    assert "Nothing here can start it again" in page.text
    assert orders(worker) == {}
    on_worker(client, "stop", worker, confirmed="yes")
    assert orders(worker) == {"stop": True}


@pytest.mark.parametrize("action", ["quiet", "unquiet", "stop"])
def test_orders_to_workers_need_their_permission(action: str) -> None:
    worker = a_worker()
    client = signed_in("view_worker", "pause_queue")
    assert on_worker(client, action, worker, confirmed="yes").status_code == 403
    assert orders(worker) == {}


def test_a_worker_that_is_gone_is_told() -> None:
    client = ruler()
    worker = a_worker()
    gone = worker.pk
    worker.delete()
    response = client.post(url("worker_action"), {"action": "stop", "worker": gone})
    assert "gone" in said(response)
    assert client.post(url("worker_action"), {"worker": "x"}).status_code == 400
