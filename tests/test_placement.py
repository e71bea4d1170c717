"""The rules that keep a task from a place: one source of words and decisions."""

from __future__ import annotations

import time

import msgspec
import pytest

from zeus.dispatch.place import MOST_SLOTS, place_of
from zeus.model import Demand, Place, Role, Snapshot, Task, Underway
from zeus.placement import lasting, refusals
from zeus.schedule.decide import decide
from zeus.wire import MOST, NodeEngine, Portrait, StatusView


def place(**values: object) -> Place:
    base = {"node": "n", "free": 1, "engines": {"e": 1}, "versions": {"e": ("4.2.3", "4.1.0")}}
    return Place(**{**base, **values})  # type: ignore[arg-type]


def task(demand: Demand | None = None, **values: object) -> Task:
    return Task(**{**{"id": 1, "job_id": "j", "renderer": "e", "priority": 50, "attempt": 0,
                      "demand": demand or Demand()}, **values})  # type: ignore[arg-type]  # fmt: skip


CASES = [
    (task(), place(), None),
    (task(renderer="x"), place(), "It has no engine x."),
    (task(), place(unable={"e": "no tool."}), "Its engine e cannot run: no tool."),
    (task(Demand(version="4.2")), place(), None),
    (task(Demand(version="lts")), place(), None),
    (task(Demand(version="4.2.3")), place(), None),
    (task(Demand(version="4.3")), place(), "It has no e 4.3; there are: 4.2.3, 4.1.0."),
    (task(Demand(version="4.20")), place(), "It has no e 4.20; there are: 4.2.3, 4.1.0."),
    (task(Demand(version="4.3")), place(versions={"e": ()}), "It has no e 4.3; there are: none."),
    (task(Demand(version="4.3")), place(versions={}), None),
    (task(Demand(model="big")), place(), "Its model big is not ready."),
    (task(Demand(model="big")), place(models=frozenset({"big"})), None),
    (task(Demand(tags=("a", "b"))), place(tags=frozenset("a")), "It lacks the tag b (node.tags)."),
    (task(Demand(tags=("a", "b"))), place(), "It lacks the tags a, b (node.tags)."),
    (task(Demand(tags=("a",))), place(tags=frozenset("ab")), None),
    (task(Demand(here=True)), place(), None),
    (task(Demand(here=True)), place(peer="p"), "It runs on the node that has the job, and on no other."),
    (task(avoid=(("p", "Gone."),)), place(peer="p"),
     "It lost or failed the job too often, and is left alone for a while: Gone."),
    (task(avoid=(("q", "Gone."),)), place(peer="p"), None),
    (task(Demand("gpu:1")), place(gpus={0: 8}), "It has no GPU 1 that jobs may use (node.gpus); there are: 0."),
    (task(Demand("gpu", 1 << 35, 1 << 34)), place(gpus={0: 1 << 33}),
     "None of its GPUs has the 16.0 GiB of memory that it needs."),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "there", "reason"), CASES)
def test_what_lasts(wanted: Task, there: Place, reason: str | None) -> None:
    assert [*lasting(wanted, there)] == ([] if reason is None else [reason])
    assert bool(decide(Snapshot((wanted,), (there,)))) == (reason is None), "what is said is what is done"


@pytest.mark.parametrize(
    ("wanted", "there", "reason"),
    [
        (task(), place(free=0), "All its slots are taken (jobs.slots)."),
        (task(), place(engines={"e": 0}), "All its slots for e are taken (engines.e.slots)."),
        (task(Demand("gpu")), place(gpus={0: 8}, taken={0: "other"}), "GPU 0 is taken by job other."),
    ],
)
def test_what_passes(wanted: Task, there: Place, reason: str) -> None:
    assert refusals(wanted, there) == [reason] and decide(Snapshot((wanted,), (there,))) == []


def where(*places: Place, **values: object) -> list[str]:
    return [each.place.node for each in decide(Snapshot((task(**values),), places))]  # type: ignore[arg-type]


def test_this_machine_comes_first_unless_another_is_much_faster() -> None:
    def here(seconds: float) -> Place:
        return place(node="here", pace={"e": seconds})

    def there(seconds: float, **values: object) -> Place:
        return place(node="there", peer="p", pace={"e": seconds}, **values)

    assert where(there(1.0), here(1.0)) == ["here"]
    assert where(there(1.0), here(1.4)) == ["here"]
    assert where(there(1.0), here(1.6)) == ["there"]
    assert where(there(1.0, free=0), here(9.0)) == ["here"]
    assert where(there(1.0), place(node="here", pace={"e": 1.6}, free=0)) == ["there"]


def test_the_faster_of_two_others_gets_it_by_its_pace_or_its_benchmark() -> None:
    slow, fast = (place(node=name, peer=name, pace={"e": pace}) for name, pace in (("slow", 2.0), ("fast", 1.0)))
    assert where(slow, fast) == ["fast"]
    weak, strong = (place(node=name, peer=name, score=score) for name, score in (("weak", 1.0), ("strong", 2.0)))
    assert where(weak, strong) == ["weak"], "without any pace scores say nothing of seconds: the first one"
    measured = place(node="measured", peer="measured", score=1.5, pace={"e": 3.0})
    assert where(weak, measured, strong) == ["strong"]


def test_who_asks_for_a_gpu_gets_a_place_with_one_first() -> None:
    plain, carded = place(node="plain"), place(node="carded", peer="c", gpus={0: 8}, pace={"e": 9.0})
    assert where(plain, carded, demand=Demand("gpu")) == ["carded"]
    assert where(plain, carded) == ["plain"]


def test_a_lie_of_a_peer_stops_no_decision() -> None:
    """Paces and scores that are hardly numbers, and more slots than there are machines."""
    deal = Task(1, "job", "e", 50, 0, 1, 1000, role=Role.DEAL)
    piece = Underway(msgspec.structs.replace(deal, id=2, role=Role.WORK), "job", "here", range(5, 900), 2.0)
    here = place(node="here", free=2, engines={"e": 2}, pace={"e": 1.0}, score=1.0)
    for number in (5e-324, 1e-300, 1e300):
        for benchmark in (number, None):
            told = portrait(free=MOST, benchmark=benchmark, seconds=number)
            there = place_of(told, "liar", "own")
            paces = {"job": {"here": 0.5}}
            start = time.process_time()
            assert decide(Snapshot((deal,), (here, there), (), paces))
            assert decide(Snapshot((), (here, there), (piece,), paces)) is not None
            assert time.process_time() - start < 2
            assert there.free == there.engines["e"] == MOST_SLOTS


def portrait(*, free: int, benchmark: float | None, seconds: float) -> Portrait:
    engine = NodeEngine(available=True, free=free, slots=free, seconds=seconds)
    status = StatusView(**dict.fromkeys(StatusView.__struct_fields__, 0))  # type: ignore[arg-type]
    return Portrait(
        id="liar", name="liar", start="1", status=msgspec.structs.replace(status, gpus=[]), engines={"e": engine},
        slots=free, free=free, benchmark=benchmark,
    )  # fmt: skip
