"""10,000 jobs: every view of the list agrees with the others, and of 1,000 waiters each hears of a change, once."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
import resource
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.conftest import HANG, Api, NodeProcess, need
from zeus.feed import Feed
from zeus.machine import raise_descriptor_limit
from zeus.model import NewJob, Wish
from zeus.store import Store

JOBS = 10_000
WAITERS = 1_000
MOST_MEMORY = 512 << 20
"""Bytes resident in the node at any time here, all jobs and waiters included."""
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def fill(storage: Path) -> list[str]:
    """Store jobs that start tomorrow, some of them cancelled or paused; their ids, the newest first."""
    storage.mkdir(parents=True)
    failures: list[Exception] = []
    store = await Store.open(storage / "zeus.db", Feed().announce, failures.append)
    jobs = [job(number) for number in range(JOBS)]
    await asyncio.gather(*(store.add_jobs([each]) for each in jobs))
    await asyncio.gather(*(store.end(each.id, Wish.CANCEL) for each in jobs[::50]))
    await asyncio.gather(*(store.end(each.id, Wish.PAUSE) for each in jobs[1::100]))
    await store.close()
    assert failures == []
    return [each.id for each in reversed(jobs)]


def job(number: int) -> NewJob:
    now = time.time()
    return NewJob(
        id=str(uuid.uuid4()),
        name=f"job {number}",
        renderer="video" if number % 25 == 7 else "noop",
        renderer_version="latest",
        args=b'{"seconds":1.5}',
        created=now,
        not_before=now + 86400,
        start_frame=1,
        end_frame=number + 1,
    )
