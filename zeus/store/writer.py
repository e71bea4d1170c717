"""The one thread that writes: all writes waiting at one moment share one durable commit."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from zeus.errors import NoSpace, StoreFailed, ZeusError
from zeus.failpoint import failpoint

T = TypeVar("T")
Write = Callable[[sqlite3.Connection, int], T]
"""A synchronous function of the connection and the revision that this change gets."""

GROUP = 256
OF_ONE_WRITE = (sqlite3.IntegrityError, sqlite3.ProgrammingError)
"""Errors of the database that are one write's own fault; every other one is the whole group's."""


class Writer:
    """Runs writes in their order of arrival and answers each after the commit that holds it.

    A write is a function that sees its own savepoint: when it raises, it alone is undone. One that raises or changes
    nothing takes no revision, so that nobody who waits for a change is woken by it. Callers that are cancelled
    while they wait disturb nobody; their write happens all the same. `announce` is called in the event loop with the
    newest revision after each commit, `failed` when the database cannot be written any more.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        revision: int,
        announce: Callable[[int], None],
        failed: Callable[[ZeusError], None],
    ) -> None:
        self._connection = connection
        self._revision = revision
        self._announce = announce
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="zeus-writer", daemon=True)
        self._thread.start()
        self._closed = False
        self._broken: StoreFailed | None = None

    async def write(self, function: Write[T]) -> T:
        """Run a write and return its result once it is durable."""
        result: T = await self._put(_Entry(function, self._loop.create_future()))
        return result

    async def take_revision(self) -> int:
        """The next revision, in order with all writes, without touching the disk."""
        revision: int = await self._put(_Entry(None, self._loop.create_future()))
        return revision

    async def close(self) -> None:
        """Finish what waits, then end the thread."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    async def _put(self, entry: _Entry) -> Any:
        if self._closed:
            raise StoreFailed("This node is shutting down.")
        if self._broken is not None:
            raise self._broken
        self._queue.put(entry)
        return await entry.future

    def _work(self) -> None:
        while True:
            first = self._queue.get()
            entries = [first]
            while len(entries) < GROUP and not self._queue.empty():
                entries.append(self._queue.get())
            self._group([entry for entry in entries if entry is not None])
            if None in entries:
                return

    def _group(self, entries: list[_Entry]) -> None:
        try:
            if any(entry.function for entry in entries):
                self._commit(entries)
            else:
                for entry in entries:
                    self._revision += 1
                    entry.result = self._revision
        except Exception as error:
            wrapped = _wrap(error)
            for entry in entries:
                if entry.function is None:
                    entry.result = self._revision
                else:
                    entry.error = wrapped
            if isinstance(wrapped, StoreFailed):
                self._broken = wrapped
                self._loop.call_soon_threadsafe(self._failed, wrapped)
        if entries:
            self._loop.call_soon_threadsafe(self._answer, entries, self._revision)

    def _commit(self, entries: list[_Entry]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            for entry in entries:
                self._savepoint(entry)
            connection.execute("UPDATE meta SET value = ? WHERE key = 'revision'", (str(self._revision),))
            failpoint("commit")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _savepoint(self, entry: _Entry) -> None:
        if entry.function is None:
            self._revision += 1
            entry.result = self._revision
            return
        before = self._connection.total_changes
        self._connection.execute("SAVEPOINT write")
        try:
            entry.result = entry.function(self._connection, self._revision + 1)
            if self._connection.total_changes > before:
                self._revision += 1
        except Exception as error:
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, OF_ONE_WRITE):
                raise
            self._connection.execute("ROLLBACK TO write")
            entry.error = error
        self._connection.execute("RELEASE write")

    def _answer(self, entries: list[_Entry], revision: int) -> None:
        for entry in entries:
            if entry.future.done():
                continue
            if entry.error is not None:
                entry.future.set_exception(entry.error)
            else:
                entry.future.set_result(entry.result)
        self._announce(revision)


class _Entry:
    __slots__ = ("error", "function", "future", "result")

    def __init__(self, function: Write[Any] | None, future: asyncio.Future[Any]) -> None:
        self.function = function
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None


def _wrap(error: Exception) -> Exception:
    if isinstance(error, sqlite3.Error):
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return NoSpace()
        if not isinstance(error, sqlite3.ProgrammingError):
            return StoreFailed(f"The database cannot be written: {error}.")
    return error
