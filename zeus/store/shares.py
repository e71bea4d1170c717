"""The store's methods for work that nodes do for each other: shares that are out, debts, losses, shares held here."""

from __future__ import annotations

import time

import msgspec

from zeus.model import ENDED, Debt, Sent, Share, Task
from zeus.store import sending
from zeus.store.following import marks
from zeus.store.tables import Tables


class Held(msgspec.Struct, frozen=True):
    """A job here that is a share of another node's job, and how it stands."""

    id: str
    share: Share
    status: str
    percent: int
    completed_frames: int


class ShareTables(Tables):
    """See `zeus.store.sending` for what each of the writes means."""

    async def put_sent(self, task: Task, attempt: int, node: str, job_id: str) -> bool:
        return await self._write(sending.put_sent, task, attempt, node, job_id)

    async def end_sent(self, task: Task) -> None:
        await self._write(sending.end_sent, task)

    async def owe(self, node: str, job_id: str, of_job: str) -> None:
        """A job at another node is not wanted."""
        await self._write(sending.owe, Debt(node, job_id, "cancel", time.time(), of_job))

    async def pay(self, debt: Debt) -> None:
        await self._write(sending.pay, debt.node, debt.job_id)

    async def lose(self, job_id: str, node: str, reason: str, apart: float) -> None:
        await self._write(sending.lose, job_id, node, reason, apart)

    async def tell(self, job_id: str, status: str) -> None:
        await self._write(sending.tell, job_id, status)

    async def sent(self, task_id: int) -> Sent | None:
        """The share of a task's present attempt, or None."""
        rows = await self._read("SELECT task_id, attempt, node, job_id FROM sent WHERE task_id = ?", task_id)
        return Sent(*rows[0]) if rows else None

    async def sent_of(self, job_id: str) -> list[Sent]:
        """The shares of a job's own tasks."""
        rows = await self._read(
            "SELECT task_id, sent.attempt, node, sent.job_id FROM sent JOIN tasks ON tasks.id = task_id"
            " WHERE tasks.job_id = ?",
            job_id,
        )
        return [Sent(*row) for row in rows]

    async def sent_of_family(self, job_id: str) -> list[Sent]:
        """The shares of a job's tasks and of its subjobs' tasks."""
        rows = await self._read(
            "SELECT task_id, sent.attempt, node, sent.job_id FROM sent JOIN tasks ON tasks.id = task_id"
            " WHERE tasks.job_id IN (SELECT id FROM jobs WHERE id = ?1 OR parent = ?1)",
            job_id,
        )
        return [Sent(*row) for row in rows]

    async def debts(self) -> list[Debt]:
        """All debts, the oldest first."""
        rows = await self._read("SELECT node, job_id, wish, since, of_job FROM debts ORDER BY since")
        return [Debt(*row) for row in rows]

    async def owed_for(self, job_id: str) -> list[Debt]:
        """The shares of a job and of its subjobs that nobody wants and that their nodes have not heard of yet."""
        rows = await self._read(
            "SELECT node, job_id, wish, since, of_job FROM debts WHERE wish = 'cancel'"
            " AND (of_job = ?1 OR of_job IN (SELECT id FROM jobs WHERE parent = ?1))",
            job_id,
        )
        return [Debt(*row) for row in rows]

    async def losses(self, job_id: str) -> dict[str, int]:
        """How often each node lost or failed at a job."""
        return dict(await self._read("SELECT node, count FROM losses WHERE job_id = ?", job_id))

    async def untold(self) -> list[Held]:
        """The shares here whose owners have not been told how they stand, the oldest first."""
        return await self._held("told != status")

    async def outlived(self, until: float) -> list[str]:
        """The ids of the shares here that ended before a moment."""
        return [each.id for each in await self._held(f"status IN ({marks(ENDED)}) AND ended <= ?", until)]

    async def _held(self, where: str, *values: float) -> list[Held]:
        rows = await self._read(
            "SELECT id, share, status, percent, completed_frames FROM jobs INDEXED BY jobs_shared"
            f" WHERE share != 'null' AND {where} ORDER BY seq",
            *values,
        )
        return [Held(row[0], msgspec.json.decode(row[1], type=Share), *row[2:]) for row in rows]
