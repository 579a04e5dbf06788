"""Writing outcomes: ends, retries and releases of many messages, in a fixed order.

The statements of one batch run in one transaction, first what ended tasks asked for, then the
ends; each takes its rows by primary key and touches only messages of one owner, so that two
batches never wait for each other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from djtasks.codec import encode_exception, storable
from djtasks.exceptions import BackendError, TaskRevokedError
from djtasks.queue.arrays import numbers
from djtasks.queue.feeding import FAIL, FAILED, failing, failure, fed_members
from djtasks.queue.message import JOIN, NewMessage
from djtasks.queue.outcome import Disposal
from djtasks.queue.sql import load
from djtasks.states import FAILURE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from djtasks.queue.delivery import Delivery
    from djtasks.queue.outcome import Outcome

FINISH = f"{load('finish')}\n{load('finished')}"
FEED = f"{load('finish')}\n{load('feed')}"
HOLD = load("hold")
REPLACE = load("replace")
RETRY = load("retry")
RELEASE = load("release")
INSERT_LINKED = load("insert_linked")
# A step of a plan that another message has the id of: left out, what waits for it would wait for
# ever. So the end that asked for it cannot be stored, and says why.
INSERT_STEPS = INSERT_LINKED.removesuffix("ON CONFLICT (id) DO NOTHING")
INSERT_LINKED_UNIQUE = load("insert_linked_unique")
INSERT_LINKED_JOINS = load("insert_linked_joins")
DROP_PAYLOADS = load("drop_payloads")
TELL_WAITERS = load("tell_waiters")

KEYED = '"keyed":true'
"""The end of the JSON of a linked message that is unique, and of no other."""

IMPATIENT = "SELECT set_config('idle_in_transaction_session_timeout', '10s', true)"

_PUT_BACK = (Disposal.RETRY, Disposal.RELEASE, Disposal.REPLACE)

_dumps = json.JSONEncoder(separators=(",", ":")).encode


def members(outcome: Outcome) -> str:
    """The members of an outcome's JSON object, without its braces and its message's id.

    Results and arguments are JSON texts already and are put in as they are.
    """
    disposal = outcome.disposal
    plain = outcome.stored and outcome.children is None and outcome.runtime is not None
    if plain and outcome.state == "SUCCESS" and disposal is Disposal.END:
        # Nearly every outcome is this one.
        return f'"runtime":{outcome.runtime:.6f},"state":"SUCCESS","result":{outcome.result}'
    if disposal is Disposal.RELEASE:
        return f'"deliveries":{outcome.lost_deliveries},"delay":{outcome.delay}'
    if disposal is Disposal.REPLACE and outcome.replacement is not None:
        # Without its id, which is that of the message it replaces.
        return outcome.replacement.as_json().partition(",")[2][:-1]
    parts = ['"runtime":null' if outcome.runtime is None else f'"runtime":{outcome.runtime:.6f}']
    if outcome.stored:
        parts.append(f'"state":{_dumps(outcome.state)}')
        if outcome.result is not None:
            parts.append(f'"result":{outcome.result}')
        if outcome.traceback is not None:
            parts.append(f'"traceback":{_dumps(outcome.traceback)}')
        if outcome.exception is not None:
            parts.append(f'"exception":{_dumps(outcome.exception)}')
        if outcome.children is not None:
            parts.append(f'"children":{outcome.children}')
    if disposal is Disposal.RETRY:
        again = dict(outcome.again or {})
        payload = again.pop("payload", None)
        if payload is not None:
            parts.append(f'"payload":{payload}')
        parts.append(_dumps(again)[1:-1])
    return ",".join(parts)


def linked_members(outcome: Outcome) -> list[str]:
    """What the task asked to be enqueued with its end, as JSON members without their cause."""
    return [
        f"{row.as_json()[1:-1]},{KEYED}"
        if isinstance(row, NewMessage) and row.unique is not None
        else row.as_json()[1:-1]
        for row in outcome.messages or ()
    ]


def returned_members(outcome: Outcome) -> str:
    """What the commit of an atomic task put into queues; empty if that is nothing."""
    again = outcome.again
    if again is None:
        return _dumps({"filled": outcome.filled})[1:-1] if outcome.filled else ""
    return _dumps({name: again[name] for name in ("retries", "queue") if name in again})[1:-1]


class Entry(NamedTuple):
    """One outcome in a batch: ``key`` is the message's id in hexadecimal digits.

    ``fed`` is what :func:`djtasks.queue.feeding.fed_members` says of it, if it feeds a join.
    """

    disposal: int
    key: str
    owner: int
    members: str
    linked: list[str] | None
    payload_id: bytes | None
    queue: str
    feeds: bytes | None
    position: int | None
    fed: str | None
    custom_id: str | None
    task: str
    lane: str | None

    @property
    def name(self) -> str:
        """The task id as its caller knows it."""
        return self.custom_id or str(UUID(self.key))

    @property
    def concerns_others(self) -> bool:
        """Whether its end fails what waits for it, or enqueues something."""
        if self.disposal == Disposal.ENDED:
            return False
        return bool(self.linked) or (self.fed is not None and self.fed.startswith(FAILED))


class Batch:
    """Outcomes that are written together."""

    __slots__ = ("entries", "feeds")

    def __init__(self, entries: list[Entry] | None = None) -> None:
        self.entries: list[Entry] = entries or []
        self.feeds = any(entry.fed is not None for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def add(
        self,
        disposal: int,
        delivery: Delivery | tuple[Any, ...],
        owner: int,
        members: str,
        linked: list[str] | None = None,
        fed: str | None = None,
    ) -> None:
        """Add the outcome of one delivery; ``members`` as :func:`members` makes them."""
        key, feeds = delivery[0].hex(), delivery[18]
        self.feeds = self.feeds or (feeds is not None and fed is not None)
        self.entries.append(
            Entry(
                disposal,
                key,
                owner,
                members,
                linked,
                delivery[17],
                delivery[4],
                feeds,
                delivery[19],
                fed,
                delivery[14],
                delivery[1],
                delivery[20],
            )
        )

    def add_outcome(self, delivery: Delivery, owner: int, outcome: Outcome) -> None:
        """Add an outcome of this process."""
        linked = linked_members(outcome)
        fed = None if delivery.feeds is None else fed_members(outcome)
        self.add(outcome.disposal, delivery, owner, members(outcome), linked, fed)

    def ended_ids(self) -> list[str]:
        """The ids of the tasks that end with this batch."""
        ends = (Disposal.END, Disposal.ENDED)
        return [entry.key for entry in self.entries if entry.disposal in ends]

    def filled_queues(self) -> list[str]:
        """The queues into which this batch puts messages, ready or for later.

        Other workers are told of them after the commit, for they may be idle.
        """
        queues = set()
        for entry in self.entries:
            # An atomic task that asked for a retry has put its message back by itself.
            returned = entry.disposal == Disposal.ENDED and entry.members
            if returned or entry.disposal in _PUT_BACK:
                queues.add(entry.queue)
                if '"queue":' in entry.members or '"filled":' in entry.members:
                    told = json.loads(f"{{{entry.members}}}")
                    queues.add(told.get("queue", entry.queue))
                    queues.update(told.get("filled", ()))
            for linked in entry.linked or ():
                queue = json.loads(f"{{{linked}}}").get("queue")
                if queue is not None:
                    queues.add(queue)
        return sorted(queues)

    def statements(self, hostname: str) -> Iterator[tuple[str, dict[str, Any], int]]:
        """The statements of this batch with their parameters, and how many rows each is to hit.

        Zero where the number says nothing. Fewer rows than that: some messages were given to
        another worker meanwhile, and their outcomes are not this worker's to write.
        """
        ended, retried, released, replaced, dropped = [], [], [], [], []
        linked: list[str] = []
        steps: list[str] = []
        keyed: list[str] = []
        joins: list[str] = []
        for disposal, key, owner, text, links, payload_id, _, _, _, fed, *_ in self.entries:
            if disposal == 0:
                if fed and not fed.startswith(FAILED):
                    ended.append(f'{{"id":"{key}","owner":{owner},{text},{fed}}}')
                else:
                    ended.append(f'{{"id":"{key}","owner":{owner},{text}}}')
                if payload_id is not None and '"state":' not in text:
                    dropped.append(payload_id.hex())
            elif disposal == 1:
                retried.append(f'{{"id":"{key}","owner":{owner},{text}}}')
            elif disposal == 2:
                released.append(f'{{"id":"{key}","owner":{owner},{text}}}')
            elif disposal == 4:
                replaced.append(f'{{"id":"{key}","owner":{owner},{text}}}')
            if links and disposal != 3:
                for one in links:
                    if one.startswith(JOIN):
                        target = joins
                    elif one.endswith(KEYED):
                        target = keyed
                    else:
                        target = steps if '"feeds":' in one or '"after":' in one else linked
                    target.append(f'{{"cause":"{key}","owner":{owner},{one}}}')
        held = [entry for entry in self.entries if entry.concerns_others]
        if held:
            # Before any join, as everybody does it.
            causes = ",".join(entry.key for entry in held)
            owners = numbers(entry.owner for entry in held)
            yield HOLD, {"causes": f"{{{causes}}}", "owners": owners}, 0
        if self.feeds:
            for statement, params in failing(self.entries):
                yield statement, params, 0
        if joins:
            yield INSERT_LINKED_JOINS, {"joins": _array(joins)}, 0
        if linked:
            yield INSERT_LINKED, {"messages": _array(linked)}, 0
        if keyed:
            refusal = encode_exception(TaskRevokedError("not unique: its key is taken"))
            yield INSERT_LINKED_UNIQUE, {"messages": _array(keyed), "refusal": refusal}, 0
        if steps:
            yield INSERT_STEPS, {"messages": _array(steps)}, 0
        if ended:
            params = {"outcomes": _array(ended), "hostname": hostname}
            yield FEED if self.feeds else FINISH, params, len(ended)
        if replaced:
            yield REPLACE, {"outcomes": _array(replaced)}, len(replaced)
        if retried:
            yield RETRY, {"outcomes": _array(retried), "hostname": hostname}, len(retried)
        if released:
            yield RELEASE, {"outcomes": _array(released)}, 0
        if dropped:
            yield DROP_PAYLOADS, {"ids": dropped}, 0


def unstorable(entry: Entry, error: Exception) -> Entry:
    """What is stored instead of an outcome that the database does not take."""
    reason = BackendError(
        f"The outcome of the task could not be stored: {storable(str(error))}. The task did run."
    )
    text = (
        f'"runtime":null,"state":"FAILURE","result":{encode_exception(reason)},'
        f'"traceback":{_dumps(str(reason))},"exception":"BackendError"'
    )
    fed = None if entry.feeds is None else failure(FAILURE, reason, str(reason))
    return entry._replace(disposal=int(Disposal.END), members=text, linked=None, fed=fed)


def _array(items: list[str]) -> str:
    return f"[{','.join(items)}]"


class News(NamedTuple):
    """What a statement of a batch tells: how many messages were still their owners' to end, the
    queues in which messages became ready, those in which some are due later, and the ids of the
    tasks that ended because they waited.
    """

    number: int
    ready: Sequence[str] = ()
    later: Sequence[str] = ()
    ended: Sequence[str] = ()


def news(statement: str, row: Any) -> News:
    """What the row of a statement that ends or fails messages tells."""
    if statement is FAIL:
        return News(0, row[0], (), row[1])
    return News(*row)


def write_here(
    connection: BaseDatabaseWrapper, batch: Batch, hostname: str
) -> tuple[bool, list[str], list[str]]:
    """Write a batch on Django's connection, in the transaction that is open there.

    Returns whether all messages were still their owners' to end, the queues that were filled, and
    the ids of the tasks that ended because they waited for those of the batch.
    """
    ours = True
    queues: list[str] = []
    ids: list[str] = []
    with connection.cursor() as cursor:
        for statement, params, expected in batch.statements(hostname):
            cursor.execute(statement, params)
            if expected or statement is FAIL:
                heard = news(statement, cursor.fetchone())
                ours = ours and heard.number == expected
                queues += [*heard.ready, *heard.later]
                ids += heard.ended
    return ours, queues, ids


def end_here(
    connection: BaseDatabaseWrapper,
    delivery: Delivery,
    outcome: Outcome,
    owner: int,
    hostname: str,
) -> bool:
    """Write one outcome on Django's connection, in the transaction that is open there.

    Returns whether the message was still ``owner``'s to end.
    """
    with connection.cursor() as cursor:
        # From here to the commit others wait for the rows that are locked. A machine that is gone
        # in this moment must not hold them for the hours that TCP takes to notice.
        cursor.execute(IMPATIENT)
    batch = Batch()
    batch.add_outcome(delivery, owner, outcome)
    ours, queues, _ = write_here(connection, batch, hostname)
    outcome.filled = [*queues, *batch.filled_queues()]
    return ours
