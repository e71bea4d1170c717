"""The worker process's own side: reads calls, runs them one after another, answers.

Run as `python -m zeus.workerprocess MEMORY FOLDER...`: a limit of its data in bytes (0: none) and the plugin folders,
from which it builds the package `zeus_plugins` as the server has it. The process ends as soon as its input does.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import queue
import resource
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from zeus import worker
from zeus.engine import Cancelled
from zeus.errors import TaskFailed, ZeusError
from zeus.names import without_folders
from zeus.registry import make_parent

BEAT = 1.0
"""Seconds between two signs of life."""


class Job:
    """What a called function gets: the Computation of `zeus.engine`."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._cancelled = threading.Event()
        self._last = 0.0

    def report(self, value: Any) -> None:
        self._send(worker.Report(value))

    def check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if time.monotonic() > self._last + BEAT:
            self._send(worker.Beat())

    def cancel(self) -> None:
        self._cancelled.set()

    def _send(self, message: worker.FromWorker) -> None:
        self._last = time.monotonic()
        self._out.write(worker.pack(message))
        self._out.flush()


class Main:
    """Calls come in over one thread and run in the main thread, where libraries like to live."""

    def __init__(self, source: BinaryIO, out: BinaryIO) -> None:
        self._source = source
        self._out = out
        self._calls: queue.SimpleQueue[tuple[worker.Call, Job]] = queue.SimpleQueue()
        self._job: Job | None = None

    def run(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            call, job = self._calls.get()
            answer = _run(call, job)
            self._out.write(worker.pack(answer))
            self._out.flush()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            for message in self._messages():
                if isinstance(message, worker.Call):
                    self._job = Job(self._out)
                    self._calls.put((message, self._job))
                elif self._job is not None:
                    self._job.cancel()
        os._exit(0)

    def _messages(self) -> Iterator[worker.ToWorker]:
        while header := self._source.read(worker.HEADER):
            body = self._source.read(int.from_bytes(header, "big"))
            yield msgspec.msgpack.decode(body, type=worker.ToWorker)


def _run(call: worker.Call, job: Job) -> worker.FromWorker:
    try:
        with _locked(call.lock):
            return worker.Result(_resolve(call.function)(job, **call.arguments))
    except Cancelled:
        return worker.Cancelled()
    except ZeusError as error:
        retry = error.retry if isinstance(error, TaskFailed) else False
        return worker.Failure(type(error).__name__, error.message, error.code, retry)
    except MemoryError:
        return worker.Failure("TaskFailed", "There was not enough memory.", "out_of_memory")
    except Exception as error:
        traceback.print_exc()
        return worker.Failure(None, without_folders(f"{type(error).__name__}: {error}"), "engine_error")


def _resolve(function: str) -> Any:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


@contextlib.contextmanager
def _locked(path: str | None) -> Iterator[None]:
    """Hold the attempt's lock, so that a node that starts anew can tell that something still works on it."""
    if path is None:
        yield
        return
    with Path(path).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def main() -> None:
    memory, *folders = sys.argv[1:]
    if int(memory):
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
    make_parent([Path(folder) for folder in folders])
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the messages
    Main(sys.stdin.buffer, out).run()


if __name__ == "__main__":
    main()
