"""Split jobs: each frame is one piece's at any time, whatever happens; and the policy shares them out well."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation import Farm, Machine, ideal
from zeus.errors import Conflict
from zeus.model import Assignment, Demand, Frame, NewJob, Place, Role, Snapshot, Status, Task, Underway, Wish
from zeus.schedule.decide import decide
from zeus.schedule.pace import Pulse
from zeus.store import adding, moving, schema, sending, sharing, wishing
from zeus.store.following import release

# The policy, in virtual time.


@pytest.mark.parametrize("count", [2, 4, 16, 32])
def test_nodes_of_which_one_is_slow_and_one_late_come_near_the_ideal(count: int) -> None:
    machines = [Machine(1.0), Machine(5.0), *(Machine(1.0) for _ in range(count - 3)), Machine(1.0, joins=30.0)][
        -count:
    ]
    farm = Farm(machines, count * 120)
    took, best = farm.run(), ideal(machines, count * 120)
    assert {len(made) for made in farm.frames.values()} == {1}, "each frame is made once"
    assert best / took >= 0.9, f"{took:.0f} s, ideal are {best:.0f} s"
    late = sum(made == [count - 1] for made in farm.frames.values())
    assert late > count * 120 / count / 2, "who comes late works too"


def test_a_static_split_does_worse() -> None:
    machines = [Machine(1.0), Machine(5.0), *(Machine(1.0) for _ in range(14))]
    static = 0.5 + 120 * 5.0
    assert Farm(machines, 16 * 120).run() < static / 3


@pytest.mark.parametrize(("frames", "seconds", "most"), [(60, 0.3, 1), (1000, 5.0, 1)])
def test_one_slot_makes_a_job_in_one_piece(frames: int, seconds: float, most: int) -> None:
    farm = Farm([Machine(seconds)], frames)
    assert farm.run() == pytest.approx(frames * seconds + 0.5) and farm.pieces == most


def test_short_frames_do_not_make_a_piece_each() -> None:
    farm = Farm([Machine(0.3), Machine(0.3)], 60)
    farm.run()
    assert farm.pieces <= 10


def test_a_node_that_comes_late_takes_half_of_the_only_piece() -> None:
    farm = Farm([Machine(1.0), Machine(1.0, joins=100.0)], 1000)
    assert farm.run() < 560 and farm.pieces < 12


def test_frames_that_come_all_at_once_do_not_make_a_place_seem_fast() -> None:
    pulse = Pulse()
    for _ in range(3):
        pulse.beat(0.5)
    assert pulse.seconds == 0.5


def test_a_last_frame_is_not_given_to_a_node_that_takes_too_long() -> None:
    deal = Task(1, "job", "e", 50, 0, 99, 100, role=Role.DEAL)
    places = (Place("fast", 0, {"e": 0}, setup={"e": 0.1}), Place("slow", 1, {"e": 1}, peer="x", setup={"e": 0.1}))
    piece = Underway(Task(2, "piece", "e", 50, 1, 97, 98), "job", "fast", range(98, 99), 1.0)
    assert decide(Snapshot((deal,), places, (piece,), {"job": {"fast": 1.0, "slow": 20.0}})) == []
    made = decide(Snapshot((deal,), places, (piece,), {"job": {"fast": 1.0, "slow": 2.0}}))
    assert [(each.place.node, each.span) for each in made] == [("slow", (99, 99))]


SECONDS = st.floats(0.001, 100.0)


@given(
    st.integers(1, 500),
    st.lists(st.tuples(SECONDS | st.none(), SECONDS, st.integers(1, 3)), min_size=1, max_size=5),
    st.booleans(),
)
def test_where_places_are_free_and_nothing_runs_something_begins(
    frames: int, nodes: list[tuple[float | None, float, int]], is_measured: bool
) -> None:
    deal = Task(1, "job", "e", 50, 0, 1, frames, role=Role.DEAL)
    places = tuple(
        Place(str(number), slots, {"e": slots}, peer=str(number or ""), setup={"e": setup},
              pace={} if seconds is None else {"e": seconds})
        for number, (seconds, setup, slots) in enumerate(nodes)
    )  # fmt: skip
    seen = {str(number): seconds for number, (seconds, _, _) in enumerate(nodes) if seconds is not None}
    made = decide(Snapshot((deal,), places, (), {"job": seen} if is_measured else {}))
    assert made
    dealt = [number for each in made if each.span for number in range(each.span[0], each.span[1] + 1)]
    assert dealt == list(range(1, len(dealt) + 1)) and len(dealt) <= frames


def test_pieces_have_the_length_that_is_asked_for_and_keep_the_step() -> None:
    deal = Task(1, "job", "e", 50, 0, 1, 100_001, role=Role.DEAL, frame_step=10)
    places = tuple(Place(str(number), 1, {"e": 1}, peer=str(number)) for number in range(3))
    made = decide(Snapshot((deal,), places, (), {"job": {"0": 1.0, "1": 2.0, "2": 4.0}}, 60.0))
    assert spans(made) == {"0": (1, 591), "1": (601, 891), "2": (901, 1041)}


def test_a_pace_that_nobody_measured_follows_from_the_benchmark_or_is_tried() -> None:
    deal = Task(1, "job", "e", 50, 0, 1, 10_000, role=Role.DEAL)
    places = (Place("a", 1, {"e": 1}, score=100.0), Place("b", 1, {"e": 1}, peer="b", score=50.0))
    assert {last - first + 1 for first, last in spans(decide(Snapshot((deal,), places))).values()} == {4}
    made = spans(decide(Snapshot((deal,), places, (), {"job": {"a": 1.0}}, 60.0)))
    assert {node: last - first + 1 for node, (first, last) in made.items()} == {"a": 60, "b": 30}


def test_a_job_of_many_frames_makes_a_bounded_number_of_pieces() -> None:
    farm = Farm([Machine(70.0) for _ in range(8)], 20_000, chunk=60.0)
    farm.run()
    assert farm.pieces < 10_000


def test_ten_thousand_jobs_and_sixty_four_places_are_decided_at_once() -> None:
    places = tuple(Place(str(number), 2, {"e": 2}, peer=str(number), tags=frozenset("t")) for number in range(64))
    line = tuple(Task(number, str(number), "e", 50, 0, demand=Demand(tags=("t",))) for number in range(10_000))
    start = time.process_time()
    assert len(decide(Snapshot(line, places))) == 128
    assert time.process_time() - start < 2


def spans(made: list[Assignment]) -> dict[str, tuple[int, int] | None]:
    return {each.place.node: each.span for each in made}


# The store, whatever happens.


class Book:
    """A database in memory with one split job of frames, and what may be done to it."""

    def __init__(self, frames: int, step: int, *, joins: bool = False) -> None:
        self.tx = sqlite3.connect(":memory:", isolation_level=None)
        schema.upgrade(self.tx)
        self.tx.execute("PRAGMA foreign_keys = ON")
        self.step = step
        self.all = range(5, 5 + frames * step, step)
        self.job = NewJob(
            id=str(uuid.uuid4()), name="n", renderer="e", renderer_version="1", args=b"{}", created=0.0,
            start_frame=self.all[0], end_frame=self.all[-1], frame_step=step, publishes="each", splits="frames",
            joins=joins, piece_args=b'{"piece":1}',
        )  # fmt: skip
        adding.add_jobs(self.tx, 1, [self.job])

    def do(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        self.tx.execute("BEGIN")
        found = function(self.tx, 2, *values, **named)
        self.tx.execute("COMMIT")
        return found

    def tasks(self, where: str = "1", *values: Any) -> list[tuple[Task, str]]:
        rows = self.tx.execute(
            "SELECT id, job_id, renderer, priority, attempt, start_frame, end_frame, failures, not_before, wish, role,"
            f" status FROM tasks WHERE {where} ORDER BY id", values
        ).fetchall()  # fmt: skip
        return [(Task(*row[:9], Wish(row[9]), role=Role(row[10]), frame_step=self.step), str(row[11])) for row in rows]

    def running(self) -> list[Task]:
        return [task for task, status in self.tasks("role = 'work'") if status == "running"]

    def deal(self) -> tuple[Task, str]:
        return self.tasks("role = 'deal'")[0]

    def status(self, job_id: str | None = None) -> str:
        (status,) = self.tx.execute("SELECT status FROM jobs WHERE id = ?", (job_id or self.job.id,)).fetchone()
        return str(status)

    def made(self, task: Task) -> list[int]:
        rows = self.tx.execute("SELECT number FROM frames WHERE job_id = ? ORDER BY 1", (task.job_id,))
        return [row[0] for row in rows]

    def give(self, count: int) -> None:
        task, _ = self.deal()
        if task.frames:
            last = task.frames[min(count, len(task.frames)) - 1]
            self.do(sharing.deal, task, last, "node", str(uuid.uuid4()))

    def check(self) -> None:
        deal, state = self.deal()
        pieces = self.tasks("role = 'work'")
        rest = list(deal.frames) if state != "finished" else []
        assert sorted([*(number for task, _ in pieces for number in task.frames), *rest]) == list(self.all)
        for task, status in pieces:
            made = self.made(task)
            assert set(made) <= set(task.frames)
            assert status != "finished" or made == list(task.frames)
            assert task.frames
        if self.status() == "finished":
            assert state == "finished" and {status for _, status in pieces} == {"finished"}
        if not [status for _, status in self.tasks() if status not in ("finished", "failed", "cancelled")]:
            assert self.status() in ("finished", "failed", "cancelled")

    def check_nothing_waits_for_ever(self) -> None:
        """Where nothing is in line, at work or held up by a user, what waits is for the clock alone."""
        self.do(release, time.time() + 1000)
        found = {status for _, status in self.tasks()}
        assert "waiting" not in found or found & {"queued", "running", "paused"}, found


WISHES = ("pause", "cancel", "resume", "retry")
DOINGS = ("deal", "halve", "frame", "finish", "lose", "fail", "begin", *WISHES, *(f"{each} one" for each in WISHES))
STEPS = st.lists(
    st.tuples(
        st.sampled_from((*DOINGS, "frame", "frame")),
        st.integers(0, 20),
        st.integers(1, 12),
    ),
    max_size=60,
)  # fmt: skip


@given(STEPS, st.integers(2, 40), st.integers(1, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_each_frame_is_one_pieces_whatever_happens(
    steps: list[tuple[str, int, int]], frames: int, step: int, joins: bool
) -> None:
    book = Book(frames, step, joins=joins)
    for word, which, count in steps:
        running = book.running()
        task = running[which % len(running)] if running else None
        act(book, word, task, count)
        book.check()
    book.check_nothing_waits_for_ever()
    to_the_end(book)


def act(book: Book, word: str, task: Task | None, count: int) -> None:
    if word == "deal":
        book.give(count)
    elif word in WISHES:
        wish(book, word)
    elif word.endswith(" one"):
        pieces = book.tasks("role = 'work'")
        if pieces:
            wish(book, word.split()[0], pieces[count % len(pieces)][0].job_id)
    elif word == "begin":
        book.do(release, time.time() + 1000)
        for queued, status in book.tasks("role = 'work'"):
            if status == "queued":
                book.do(moving.begin, queued, "other")
    elif task is not None:
        on_piece(book, word, task, count)


def wish(book: Book, word: str, job_id: str | None = None) -> None:
    job_id = job_id or book.job.id
    try:
        if word in ("pause", "cancel"):
            book.do(wishing.end, job_id, Wish(word))
        else:
            book.do(getattr(wishing, word), job_id)
    except Conflict:
        book.tx.execute("ROLLBACK")


def on_piece(book: Book, word: str, task: Task, count: int) -> None:
    missing = [number for number in task.frames if number not in book.made(task)]
    if word == "halve":
        first = task.frames[min(count, len(task.frames) - 1)]
        book.do(sharing.halve, task, first, "idle", str(uuid.uuid4()))
    elif word == "frame" and missing:
        # what is made beyond the end is another piece's: nothing comes of it
        beyond = task.frames[-1] + book.step
        assert book.do(moving.put_frame, task, task.attempt, Frame(beyond, "node"), ()) == moving.OUTSIDE
        book.do(moving.put_frame, task, task.attempt, Frame(missing[0], "node"), ())
    elif word == "finish" and not missing:
        assert book.do(moving.finish, task, task.attempt, ())
    elif word == "lose":
        assert book.do(moving.requeue, task, task.attempt, counts=False)
    elif word == "fail":
        assert book.do(moving.fail, task, task.attempt, "code", "message")


def to_the_end(book: Book) -> None:
    """Whatever has happened to a job, a retry or a resume brings it to its end, with each frame made once."""
    for _ in range(3):
        wish(book, "resume")
        wish(book, "retry")
        book.give(1000)
        act(book, "begin", None, 0)
        for task in book.running():
            task = next(each for each in book.running() if each.id == task.id)
            if task.wish:
                book.do(moving.requeue, task, task.attempt, counts=False)
                continue
            while [number for number in task.frames if number not in book.made(task)]:
                on_piece(book, "frame", task, 0)
            assert book.do(moving.finish, task, task.attempt, ())
    book.check()
    if book.job.joins:
        [(join, status)] = book.tasks("role = 'join'")
        assert (status, book.status()) == ("queued", "queued")
        assert book.do(moving.begin, join, "here") is not None
        [(join, _)] = book.tasks("role = 'join'")
        assert book.status() == "running" and book.do(moving.finish, join, join.attempt, ())
    assert book.status() == "finished"


def test_what_was_dealt_meanwhile_is_not_dealt_again() -> None:
    book = Book(10, 1)
    task, _ = book.deal()
    assert book.do(sharing.deal, task, 8, "a", "first") is not None
    assert book.do(sharing.deal, task, 8, "b", "second") is None
    book.check()


def test_a_piece_that_failed_ends_what_is_not_dealt_and_a_retry_goes_on() -> None:
    book = Book(10, 1, joins=True)
    book.give(3)
    book.give(3)
    first, second = book.running()
    assert book.status() == "waiting_for_subjobs"
    on_piece(book, "fail", first, 0)
    assert book.deal()[1] == "cancelled" and book.status() == "waiting_for_subjobs", "the other piece goes on"
    while len(book.made(second)) < 3:
        on_piece(book, "frame", second, 0)
    on_piece(book, "finish", second, 0)
    assert book.status() == "failed"
    row = book.tx.execute("SELECT error_code FROM jobs WHERE id = ?", (book.job.id,)).fetchone()
    assert row == ("subjob_failed",)
    to_the_end(book)


def test_a_retry_of_one_piece_is_one_of_all_that_ended_with_it() -> None:
    """Or the others would stay cancelled, and what joins them wait for ever."""
    book = Book(10, 1, joins=True)
    for _ in range(3):
        book.give(3)
    first, second, third = book.running()
    assert book.do(moving.requeue, second, second.attempt, counts=False)
    on_piece(book, "fail", first, 0)
    while len(book.made(third)) < 3:
        on_piece(book, "frame", third, 0)
    on_piece(book, "finish", third, 0)
    assert book.status() == "failed"
    assert {status for _, status in book.tasks()} == {"failed", "cancelled", "finished"}
    book.do(sending.lose, first.job_id, "peer", "Gone.", 0.0)
    with pytest.raises(Conflict):
        book.do(wishing.retry, third.job_id)
    book.tx.execute("ROLLBACK")
    wish(book, "retry", first.job_id)
    assert sorted(status for _, status in book.tasks()) == ["finished", "queued", "queued", "queued", "waiting"]
    assert book.tx.execute("SELECT count(*) FROM losses").fetchone() == (0,), "it starts anew with every node"
    to_the_end(book)


@pytest.mark.parametrize(("word", "back"), [("pause", "resume"), ("cancel", "retry")])
def test_what_is_still_ending_is_not_begun_again(word: str, back: str) -> None:
    """A resume that reached only what is not dealt would leave the pieces paused, a retry would end as cancelled."""
    book = Book(10, 1)
    book.give(3)
    [piece] = book.running()
    wish(book, word)
    with pytest.raises(Conflict, match="still"):
        book.do(getattr(wishing, back), book.job.id)
    book.tx.execute("ROLLBACK")
    assert book.do(moving.requeue, piece, piece.attempt, counts=False)
    wish(book, back)
    assert {status for _, status in book.tasks()} == {"queued"}
    to_the_end(book)


def test_a_wish_while_the_last_piece_settles_is_not_lost() -> None:
    book = Book(4, 1, joins=True)
    book.give(4)
    [task] = book.running()
    while len(book.made(task)) < 4:
        on_piece(book, "frame", task, 0)
    wish(book, "pause")
    assert book.do(moving.finish, task, task.attempt, ())
    assert book.status() == "paused", "it has finished all the same, but nothing is joined"
    wish(book, "cancel")
    assert book.status() == "cancelled"
    to_the_end(book)


def test_pieces_have_the_pieces_arguments_and_the_jobs_input() -> None:
    book = Book(4, 1)
    book.give(2)
    row = book.tx.execute("SELECT args, input_of, parent, name, priority FROM jobs WHERE parent = ?", (book.job.id,))
    assert row.fetchall() == [(b'{"piece":1}', book.job.id, book.job.id, "n 5-6", 50)]


def test_two_thousand_pieces_cost_no_more_than_few() -> None:
    """The writer's work for a piece from its deal to its end does not grow with their number."""
    took = []
    book = Book(2000, 1)
    for _ in range(2):
        start = time.process_time()
        for _ in range(1000):
            task, _ = book.deal()
            made = book.do(sharing.deal, task, task.frames[0], "node", str(uuid.uuid4()))
            [(piece, _)] = book.tasks("id = ?", made)
            book.do(moving.put_frame, piece, 1, Frame(piece.frames[0], "node"), ())
            book.do(moving.finish, piece, 1, ())
        took.append(time.process_time() - start)
    print(f"{took[0]:.2f} s, {took[1]:.2f} s for a thousand pieces")
    assert took[1] < 2 * took[0] + 0.5
    assert book.status() == Status.FINISHED


def test_a_place_that_lost_a_job_too_often_gets_none_of_it() -> None:
    deal = Task(1, "job", "e", 50, 0, 1, 10, role=Role.DEAL, avoid=(("lossy", "Gone."),))
    places = (Place("a", 1, {"e": 1}, peer="lossy"), Place("b", 1, {"e": 1}, peer="good"))
    assert [each.place.node for each in decide(Snapshot((deal,), places))] == ["b"]
    assert (
        decide(Snapshot((msgspec.structs.replace(deal, avoid=(("lossy", "Gone."), ("good", "Gone."))),), places)) == []
    )
