"""What the worker needs of psycopg that psycopg has not: long pipelines, ids as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import psycopg
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.waiting import Ready, Wait

if TYPE_CHECKING:
    from psycopg.abc import Buffer, PQGen
    from psycopg.pq.abc import PGconn

T = TypeVar("T")


class RawUUID(Loader):
    """UUIDs as their 16 bytes, as they cross to the children."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        """Return the bytes as they are."""
        return bytes(data)


class PipelineConnection(psycopg.AsyncConnection[Any]):
    """A connection whose pipelines may be larger than its socket takes at once.

    psycopg waits for the answers to a pipeline, for reading alone, although a part of it may
    still be to be sent; then both ends would wait for ever.
    """

    async def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """Carry out one of psycopg's generators, sending what is left while it waits."""
        return await super().wait(_flushing(gen, self.pgconn), *args, **kwargs)


def _flushing(gen: PQGen[T], pgconn: PGconn) -> PQGen[T]:
    try:
        wanted = next(gen)
        ready: int
        while True:
            if wanted == Wait.R:
                ready = Ready.NONE
                while pgconn.flush() and not ready & Ready.R:
                    ready = yield Wait.RW
                if not ready & Ready.R:
                    ready = yield Wait.R
            else:
                ready = yield wanted
            wanted = gen.send(ready)
    except StopIteration as stop:
        return cast(T, stop.value)
