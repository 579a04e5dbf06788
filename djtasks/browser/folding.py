"""From very many tasks to a drawing of few nodes: columns by depth, like tasks folded into one."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple
from uuid import UUID

__all__ = ["EDGES", "FOLD", "MOST", "Drawing", "Fold", "Item", "fold"]

FOLD: Final = 8
"""Like nodes that are drawn one by one; more of them are folded into one."""

MOST: Final = 200
"""Nodes that are drawn, at most."""

EDGES: Final = 1_000
"""Edges that are drawn, at most: sooner, more is folded."""

ROUNDS: Final = 6
"""How far around a task one looks for what tells it from others."""

COLUMNS: Final = 50
"""Columns that a workflow too deep to be drawn is pressed into, at most."""


@dataclass(frozen=True, slots=True)
class Item:
    """A task, or ``count`` like tasks of which nothing else is known.

    ``takes`` and ``gives`` are points at which tasks meet: what takes from a point comes after all
    that give to it. They are the ids of joins, and of tasks that called others.
    """

    task: str
    state: str
    takes: Hashable | None = None
    gives: tuple[Hashable, ...] = ()
    id: UUID | None = None
    count: int = 1
    runtime: float | None = None
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Fold:
    """Items that are drawn as one node."""

    column: int
    items: tuple[Item, ...]

    @property
    def size(self) -> int:
        """How many tasks it stands for."""
        return sum(item.count for item in self.items)

    @property
    def is_current(self) -> bool:
        """Whether the task that was asked about is in it."""
        return any(item.is_current for item in self.items)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes by column, the pairs of their places in the list that are joined, and what is left out.

    Every edge leads to a later column.
    """

    folds: list[Fold]
    edges: list[tuple[int, int]]
    omitted: int


def fold(items: Sequence[Item], *, most: int = MOST) -> Drawing:
    """Draw items in at most ``most`` nodes: as few are folded as that allows.

    A node has tasks of one name only. An item that nobody gives to is in the first column, each
    other behind all that give to it. Where they go round in circles, one edge is left out.
    """
    points = _Points(items)
    folds: list[_Places] = []
    for folds in _foldings(items, points):
        if len(folds) <= most:
            edges = points.edges(folds)
            if len(edges) <= EDGES:
                return Drawing([_fold(items, places) for places in folds], edges, 0)
    return _largest([_fold(items, places) for places in folds], most)


def _fold(items: Sequence[Item], places: _Places) -> Fold:
    return Fold(places.column, tuple(items[place] for place in places.inside))


def _largest(folds: list[Fold], most: int) -> Drawing:
    """The current node and the largest others, of more names than can be drawn at all."""
    ranked = sorted(folds, key=lambda one: (not one.is_current, -one.size))
    kept = set(map(id, ranked[:most]))
    return Drawing(
        [one for one in folds if id(one) in kept], [], sum(one.size for one in ranked[most:])
    )


class _Places(NamedTuple):
    """A node in the making: its column, and the places of its items in their list."""

    column: int
    inside: list[int]


class _Points:
    """Where items meet: who gives to each point and who takes from it, if there are both."""

    def __init__(self, items: Sequence[Item]) -> None:
        givers: dict[Hashable, list[int]] = defaultdict(list)
        takers: dict[Hashable, list[int]] = defaultdict(list)
        for place, item in enumerate(items):
            if item.takes is not None:
                takers[item.takes].append(place)
            for point in dict.fromkeys(item.gives):
                givers[point].append(place)
        met = takers.keys() & givers.keys()
        self.givers = {point: places for point, places in givers.items() if point in met}
        self.takers = {point: takers[point] for point in self.givers}
        self.taken = [item.takes if item.takes in met else None for item in items]
        self.given = [
            tuple(point for point in dict.fromkeys(item.gives) if point in met) for item in items
        ]

    def columns(self) -> list[int]:
        """The length of the longest way to each item."""
        columns = [0] * len(self.taken)
        # What gives to the point that it takes from stands for a row of tasks of one kind.
        missing = {
            point: sum(1 for giver in givers if self.taken[giver] != point)
            for point, givers in self.givers.items()
        }
        settled: set[Hashable] = set()
        ended: set[int] = set()
        ready = [place for place, point in enumerate(self.taken) if point is None]
        begun: deque[Hashable] = deque(point for point, count in missing.items() if not count)
        others = iter(missing)
        while True:
            while ready:
                place = ready.pop()
                ended.add(place)
                for point in self.given[place]:
                    missing[point] -= self.taken[place] != point
                    # All have given; or it is one to go on from if they go round in circles.
                    (begun.append if missing[point] else begun.appendleft)(point)
                if begun and not missing[begun[0]]:
                    break
            point = begun.popleft() if begun else next(others, None)
            if point is None:
                return columns
            if point in settled:
                continue
            settled.add(point)
            column = max((columns[g] + 1 for g in self.givers[point] if g in ended), default=0)
            turning = any(self.taken[giver] == point for giver in self.givers[point])
            for taker in self.takers[point]:
                columns[taker] = column + (turning and point not in self.given[taker])
                ready.append(taker)

    def edges(self, folds: Sequence[_Places]) -> list[tuple[int, int]]:
        """The pairs of nodes that are joined, the later one in a later column."""
        node_of = {place: node for node, fold in enumerate(folds) for place in fold.inside}
        edges: dict[tuple[int, int], None] = {}
        for point, givers in self.givers.items():
            sources = sorted({node_of[place] for place in givers})
            targets = sorted({node_of[place] for place in self.takers[point]})
            for pair in product(sources, targets):
                if folds[pair[0]].column < folds[pair[1]].column:
                    edges[pair] = None
            if len(edges) > EDGES:
                break
        return sorted(edges)


def _foldings(items: Sequence[Item], points: _Points) -> Iterator[list[_Places]]:
    """Ways to fold, each with fewer nodes than the one before."""
    columns = points.columns()
    names = [item.task for item in items]
    counts = [item.count for item in items]
    where = list(zip(columns, names, strict=True))
    same = _numbered(zip(where, points.taken, points.given, strict=True))
    yield _nodes(columns, _like(where, same, points), counts, FOLD)
    yield _nodes(columns, where, counts, FOLD)
    yield _nodes(columns, where, counts, 1)
    deepest, pressed = max(columns, default=0) + 1, COLUMNS
    while pressed:
        if pressed < deepest:
            fewer = [column * pressed // deepest for column in columns]
            yield _nodes(fewer, list(zip(fewer, names, strict=True)), counts, 1)
        pressed //= 2


def _nodes(
    columns: Sequence[int], keys: Sequence[Hashable], counts: Sequence[int], fold: int
) -> list[_Places]:
    """Items with one key together where there are more tasks than ``fold`` of it, or alone."""
    sizes: Counter[Hashable] = Counter()
    for key, count in zip(keys, counts, strict=True):
        sizes[key] += count
    together: dict[Hashable, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        together[(key,) if sizes[key] > fold else place].append(place)
    nodes = [_Places(columns[inside[0]], inside) for inside in together.values()]
    return sorted(nodes, key=lambda node: (node.column, node.inside[0]))


def _like(where: Sequence[Hashable], same: Sequence[int], points: _Points) -> list[Hashable]:
    """What the items of one node have in common.

    Members of one group are a node, whatever else looks like it. Only where there are very many
    groups, or members, that stand in the same relations, they are one together.
    """
    alike = _alike(where, points)
    units: Counter[int] = Counter()
    members = Counter(same)
    seen: set[int] = set()
    for number, colour in zip(same, alike, strict=True):
        if members[number] <= FOLD or number not in seen:
            units[colour] += 1
        seen.add(number)
    return [
        ("alike", colour) if units[colour] > FOLD else ("same", number)
        for number, colour in zip(same, alike, strict=True)
    ]


def _alike(where: Sequence[Hashable], points: _Points) -> list[int]:
    """A number for each item: the same for those whose surroundings look the same."""
    numbers = _numbered(where)
    for _ in range(ROUNDS):
        meets = {
            point: (
                frozenset(numbers[place] for place in givers),
                frozenset(numbers[place] for place in points.takers[point]),
            )
            for point, givers in points.givers.items()
        }
        kinds = dict(zip(meets, _numbered(meets.values()), strict=True))
        finer = _numbered(
            (number, kinds.get(taken), frozenset(kinds[point] for point in given))
            for number, taken, given in zip(numbers, points.taken, points.given, strict=True)
        )
        if max(finer, default=0) == max(numbers, default=0):
            break
        numbers = finer
    return numbers


def _numbered(keys: Iterable[Hashable]) -> list[int]:
    """A number for each key, the same for equal ones."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]
