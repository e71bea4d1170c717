"""What a user can do with jobs: add, look at, hold up, end and delete them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec

from zeus.engine import GenerationEngine, ModelState
from zeus.errors import BadInput, Conflict, JobNotFound, NoSpace, NotReady
from zeus.files import Files
from zeus.foreign import Foreign
from zeus.model import (
    ALL,
    ENDED,
    Changes,
    Child,
    Filter,
    Frame,
    Job,
    Key,
    Output,
    Progress,
    Role,
    Status,
    Task,
    Wish,
)
from zeus.progress import ProgressBook
from zeus.projects import Projects
from zeus.reasons import Reasons
from zeus.registry import Registry
from zeus.requests import Checked, JobRequest, Source, Upload
from zeus.schedule.runner import Runner
from zeus.store import Store
from zeus.submission import Submissions
from zeus.wire import UploadFacts


class Jobs:
    """The jobs of one node."""

    def __init__(
        self,
        store: Store,
        files: Files,
        registry: Registry,
        runner: Runner,
        progress: ProgressBook,
        submissions: Submissions,
        projects: Projects,
        reasons: Reasons,
        foreign: Foreign,
    ) -> None:
        self._store = store
        self._files = files
        self._registry = registry
        self._runner = runner
        self._progress = progress
        self._submissions = submissions
        self._projects = projects
        self._reasons = reasons
        self._foreign = foreign

    async def check(self, requests: Sequence[JobRequest], upload: Upload | None = None) -> list[Checked]:
        """The jobs that these requests would become, the upload being the input of each. Raises BadInput or NotReady.

        The upload of one may be gone by then: an archive is unpacked for this look at it alone.
        """
        async with self._projects.unpacking() as unpacked:
            return await self._submissions.check(requests, upload, unpacked)

    async def facts_abroad(self, source: Source, project_file: str | None) -> UploadFacts | None:
        """What another node finds in a file that no engine here can look at, and one there can; else None.

        Raises BadInput or NotReady.
        """
        if not await self._submissions.is_foreign(source):
            return None
        return await self._foreign.facts(source, project_file)

    async def add(
        self, requests: Sequence[JobRequest], upload: Upload | None = None, key: Key | None = None
    ) -> list[Job]:
        """Add all of them or, by an error that names the first wrong one, none. Durable when this returns.

        Raises BadInput, or NotReady when no node can run one of their engines.

        The upload is the input of each and is taken over; when this raises it is still its sender's to remove.
        A key that came before with the same request gives the jobs that it made then. Raises Conflict otherwise.
        """
        async with self._projects.unpacking() as unpacked:
            checked = await self._submissions.check(requests, upload, unpacked)
            await self._reasons.refuse_unready(each.job.renderer for each in checked)
            return await self._store_new(checked, key)

    async def made_before(self, key: Key | None) -> list[Job] | None:
        """The jobs that a key made when it came first, or None: then it is new, or there is none.

        So the answer to a repeated request depends on nothing that may have changed since. Raises Conflict.
        """
        made = None if key is None else await self._store.made_before(key)
        return None if made is None else [await self._store.job(job_id) for job_id in made]

    async def get(self, job_id: str) -> Job:
        """One job. Raises JobNotFound."""
        return await self._store.job(job_id)

    async def has(self, job_id: str) -> bool:
        """Whether this node holds a job."""
        try:
            await self._store.job(job_id)
        except JobNotFound:
            return False
        return True

    async def find(self, wanted: Filter = ALL) -> Sequence[Job]:
        """Jobs, the newest first unless it says otherwise."""
        return await self._store.jobs(wanted)

    async def changes(self, revision: int) -> Changes:
        """What became of the jobs after a revision, the progress of running ones included."""
        changes = await self._store.changes(revision)
        known, all_live = {job.id for job in changes.jobs}, await self._store.live()
        moved = {each for job in all_live if self._moved(job, revision) for each in (job.id, job.parent)}
        live = [job for job in all_live if job.id in moved and job.id not in known]
        return msgspec.structs.replace(changes, jobs=(*changes.jobs, *live))

    async def children(self, job: Job) -> Sequence[Child]:
        """A job's subjobs."""
        return await self._store.children(job.id) if job.has_children else ()

    async def frames(self, job: Job) -> Sequence[tuple[Job | Child, Sequence[Frame]]]:
        """What is on record of a job's frames, or of its subjobs' frames, job by job; of a split job, what is not dealt
        yet too.
        """
        if not job.has_children:
            return [(job, await self._store.frames(job.id))]
        rest = [task for task in await self._store.tasks(job.id) if task.role is Role.DEAL and task.frames]
        children = await self.children(job)
        known = await self._store.frames_of_children(job.id)
        undealt = [each for task in rest if (each := _undealt(job, task, children)).frames]
        return [*((child, known.get(child.id, ())) for child in children), *((each, ()) for each in undealt)]

    def progress(self, job: Job | Child) -> Progress | None:
        """The live progress of a running job."""
        return self._progress.get(job.id) if job.status is Status.RUNNING else None

    def note_progress(self, job: Child, percent: int, frames: int) -> None:
        """Take in what another node says of a running job."""
        self._progress.note(job.id, percent, frames)

    async def outputs(self, job_id: str) -> Sequence[Output]:
        """A job's published files, and those of its subjobs. Raises JobNotFound."""
        await self._store.job(job_id)
        return distinct(await self._store.outputs(job_id))

    async def counts(self) -> dict[str, int]:
        """How many jobs there are of each status."""
        return await self._store.counts()

    async def cancel(self, job_id: str) -> Job:
        """End a job; returns when nothing of it runs any more. A job that has ended stays as it is."""
        return await self._end(job_id, Wish.CANCEL)

    async def pause(self, job_id: str) -> Job:
        """End a job's attempt and keep it out of the line. Raises Conflict when its status forbids it."""
        return await self._end(job_id, Wish.PAUSE)

    async def resume(self, job_id: str) -> Job:
        """Put a paused job back in line. Raises Conflict when it is not paused."""
        await self._store.job(job_id)
        await self._store.resume(job_id)
        return await self._store.job(job_id)

    async def retry(self, job_id: str) -> Job:
        """Start a failed or cancelled job anew. Raises Conflict when it is neither."""
        await self._store.job(job_id)
        await self._store.retry(job_id)
        return await self._store.job(job_id)

    async def set_priority(self, job_id: str, priority: int) -> Job:
        """Change a job's place in line. Raises Conflict when it has ended."""
        await self._store.job(job_id)
        await self._store.set_priority(job_id, priority)
        return await self._store.job(job_id)

    async def delete(self, job_id: str) -> Job:
        """End a job, then remove its record and its own files; never a file that it was only pointed at.

        The job as it was. Raises Conflict for a piece of a split job: it goes with that.
        """
        job = await self._store.job(job_id)
        if job.parent is not None and (await self._store.job(job.parent)).splits:
            raise Conflict(f"It is a piece of job {job.parent}: delete that one.", code="piece_of_job")
        gone = await self.cancel(job_id)
        try:
            ids = await self._store.delete(job_id)
        except NoSpace:
            await self._discard([job_id])
            ids = await self._store.delete(job_id)
        await self._discard(ids)
        return gone

    async def ended(self) -> list[str]:
        """The ids of all jobs that have ended and are no subjobs."""
        return [job.id for job in await self._store.ended()]

    def model_state(self, engine_name: str, model: str | None = None) -> ModelState:
        """The state of the generation model: here, or at another node where it is ready there alone.

        Raises BadInput for one that nobody knows.
        """
        elsewhere = self._foreign.model_state(engine_name, model)
        try:
            own = self._own_model_state(engine_name, model)
        except BadInput:
            if elsewhere is None:
                raise
            return elsewhere
        return own if own.ready else elsewhere or own

    def _own_model_state(self, engine_name: str, model: str | None) -> ModelState:
        try:
            engine = self._registry.get(engine_name)
        except BadInput as error:
            return ModelState(ready=False, building=False, message=error.message)
        if not isinstance(engine, GenerationEngine):
            return ModelState(False, False, f'The engine "{engine_name}" does not make videos from prompts.')
        return engine.model_state(model)

    async def generate(
        self,
        engine_name: str,
        args: Mapping[str, Any],
        key: Key | None = None,
        *,
        seconds: float | None = None,
        image: Upload | None = None,
    ) -> Job:
        """Queue a video, of so many `seconds` and from a picture where these are given.

        Raises BadInput, or NotReady `model_not_ready` when its model cannot be used now.
        """
        state = self.model_state(engine_name, args.get("model"))
        if not state.ready:
            raise NotReady(state.message, code="model_not_ready", retry_after=5 if state.building else 60)
        return (await self.add([JobRequest(renderer=engine_name, args=args, seconds=seconds)], image, key))[0]

    async def _end(self, job_id: str, wish: Wish) -> Job:
        job = await self._store.job(job_id)
        if job.status in ENDED and wish is Wish.CANCEL:
            return job
        try:
            running = await self._store.end(job_id, wish)
        except NoSpace:
            # What runs is ended all the same, which may make the room that the record needs.
            await self._runner.stop(self._runner.running_of(job_id), wish)
            running = await self._store.end(job_id, wish)
        await self._runner.stop(running, wish)
        return await self._store.job(job_id)

    async def _store_new(self, checked: Sequence[Checked], key: Key | None) -> list[Job]:
        new = [each.job for each in checked]
        mine = [job.id for job in new]
        try:
            for upload, targets in self._inputs(checked).items():
                await self._files.take_in(upload.part, targets, keep=upload.keep)
            made = await self._store.add_jobs(new, key)
        except Exception:
            await self._discard(mine)
            raise
        if not {job.id for job in made} <= set(mine):
            await self._discard(mine)
        return made

    def _inputs(self, checked: Sequence[Checked]) -> Mapping[Upload, Sequence[Path]]:
        """The uploads, each with the places where its jobs look for it; for a project that is a folder."""
        inputs: dict[Upload, list[Path]] = {}
        for each in checked:
            if each.upload is not None and each.job.input is not None:
                name = each.job.input if each.upload.inner is None else ""
                inputs.setdefault(each.upload, []).append(self._files.input(each.job.id, name))
        return inputs

    async def _discard(self, job_ids: Sequence[str]) -> None:
        await self._files.discard(*(self._files.job(job_id) for job_id in job_ids))

    def _moved(self, job: Job, revision: int) -> bool:
        live = self.progress(job)
        return live is not None and live.revision > revision


def _undealt(job: Job, task: Task, children: Sequence[Child]) -> Job:
    """A split job as if it were the frames alone that are not dealt yet, nor were to its children since the task was
    read.
    """
    status = Status.QUEUED if job.status is Status.WAITING_FOR_SUBJOBS else job.status
    dealt = [child.end_frame + job.frame_step for child in children if child.end_frame is not None]
    return msgspec.structs.replace(job, start_frame=max([task.frames[0], *dealt]), status=status, node=None)


def distinct(outputs: Sequence[Output]) -> list[Output]:
    """Outputs of several jobs under names of their own: of those alike, each gets its number behind the stem."""
    seen = Counter(output.name for output in outputs)
    numbers: Counter[str] = Counter()
    found = []
    for output in outputs:
        if seen[output.name] > 1:
            numbers[output.name] += 1
            path = PurePath(output.name)
            name = f"{path.stem}-{numbers[output.name]}{path.suffix}"
            output = msgspec.structs.replace(output, name=name, stored=output.name)
        found.append(output)
    return found
