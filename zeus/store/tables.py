"""The database as all parts of the store's face reach it: one way to write, one way to read."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import aiosqlite

from zeus.store.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")


class Tables:
    """One SQLite file: written by one thread in groups, read over connections that cannot write."""

    def __init__(self, writer: Writer, readers: Sequence[aiosqlite.Connection]) -> None:
        self._writer = writer
        self._readers = readers
        self._turn = itertools.cycle(readers)

    async def _write(
        self, function: Callable[Concatenate[sqlite3.Connection, int, P], T], *values: P.args, **named: P.kwargs
    ) -> T:
        return await self._writer.write(lambda tx, revision: function(tx, revision, *values, **named))

    async def _read(self, statement: str, *values: Any) -> list[Any]:
        return list(await next(self._turn).execute_fetchall(statement, values))
