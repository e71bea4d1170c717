"""The policy: a pure function, so its properties are tested on anything."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeus.model import Assignment, Demand, Place, Snapshot, Task, suitable
from zeus.schedule.decide import decide

ENGINES = ["a", "b", "c"]
SIZES = [0, 8, 16, 24]
DEMANDS = st.builds(
    Demand, st.sampled_from(["", "gpu", "gpu:0", "gpu:1", "gpu:7"]), st.sampled_from(SIZES), st.sampled_from(SIZES)
)
TASKS = st.lists(st.tuples(st.sampled_from(ENGINES), st.integers(0, 100), DEMANDS), max_size=20).map(
    lambda each: tuple(
        Task(number, str(number), name, priority, attempt=0, demand=demand)
        for number, (name, priority, demand) in enumerate(each)
    )
)
GPUS = st.dictionaries(st.integers(0, 2), st.sampled_from(SIZES))
PLACES = st.lists(
    st.tuples(
        st.integers(-1, 4),
        st.dictionaries(st.sampled_from(ENGINES), st.integers(-1, 3)),
        GPUS,
        st.dictionaries(st.integers(0, 2), st.just("a job")),
    ),
    max_size=3,
).map(lambda each: tuple(Place(f"node{number}", *one) for number, one in enumerate(each)))


@given(TASKS, PLACES)
def test_slots_and_gpus_are_kept_and_filled_in_order(tasks: tuple[Task, ...], places: tuple[Place, ...]) -> None:
    made = decide(Snapshot(tasks, places))
    assert len({each.task.id for each in made}) == len(made)
    by_node = Counter(each.place.node for each in made)
    by_engine = Counter((each.place.node, each.task.renderer) for each in made)
    given_away = Counter((each.place.node, each.device) for each in made if each.device is not None)
    assert set(given_away.values()) <= {1}, "no GPU twice"
    for place in places:
        assert by_node[place.node] <= max(place.free, 0)
        assert not any((place.node, number) in given_away for number in place.taken)
        for engine in ENGINES:
            assert by_engine[place.node, engine] <= max(place.engines.get(engine, 0), 0)
    for each in made:
        assert each.device in suitable(each.task.demand, each.place.gpus)
    started = {each.task.id for each in made}
    for task in tasks:
        if task.id in started:
            continue
        for place in places:  # whoever waits, waits for a reason: full of others, none of them behind it in the line
            full = by_node[place.node] >= place.free
            busy = by_engine[place.node, task.renderer] >= place.engines.get(task.renderer, 0)
            devices = suitable(task.demand, place.gpus)
            gone = all(device in place.taken or (place.node, device) in given_away for device in devices)
            assert full or busy or gone
            same = [each.task for each in made if each.place == place
                    and (each.task.renderer, each.task.demand) == (task.renderer, task.demand)]  # fmt: skip
            assert all((-other.priority, other.id) < (-task.priority, task.id) for other in same)


@pytest.mark.parametrize(
    ("gpus", "demand", "expected"),
    [
        ({}, Demand("gpu"), [None]),
        ({}, Demand("gpu:0"), []),
        ({0: 8}, Demand(), [None]),
        ({0: 8, 1: 0}, Demand("gpu:1", memory=9), [1]),
        ({0: 24, 1: 8, 2: 16}, Demand("gpu"), [1, 2, 0]),
        ({0: 24, 1: 8, 2: 16}, Demand("gpu", memory=9), [2, 0]),
        ({0: 24, 1: 8, 2: 16}, Demand("gpu", memory=25), [0, 2, 1]),
        ({0: 24, 1: 8, 2: 16}, Demand("gpu", memory=25, least=16), [0, 2]),
        ({0: 24, 1: 8, 2: 16}, Demand("gpu", memory=40, least=25), []),
        ({0: 24, 1: 0}, Demand("gpu", memory=25), [1]),
    ],
)
def test_which_gpus_suit(gpus: dict[int, int], demand: Demand, expected: list[int | None]) -> None:
    assert suitable(demand, gpus) == expected


def task(number: int, gpu: str = "", memory: int = 0) -> Task:
    return Task(number, str(number), "a", 50, attempt=0, demand=Demand(gpu, memory))


def started(tasks: list[Task], *places: Place) -> list[tuple[int, str, int | None]]:
    def shown(each: Assignment) -> tuple[int, str, int | None]:
        return each.task.id, each.place.node, each.device

    return [shown(each) for each in decide(Snapshot(tuple(tasks), places))]


def test_a_taken_gpu_holds_back_only_who_wants_it() -> None:
    place = Place("n", 4, {"a": 4}, {0: 8, 1: 8}, {0: "a job"})
    line = [task(1, "gpu:0"), task(2), task(3, "gpu"), task(4, "gpu"), task(5)]
    assert started(line, place) == [(2, "n", None), (3, "n", 1), (5, "n", None)]


def test_a_place_with_a_gpu_comes_first_for_who_wants_one() -> None:
    plain, carded = Place("plain", 1, {"a": 1}), Place("carded", 2, {"a": 2}, {0: 8})
    line = [task(1), task(2, "gpu"), task(3, "gpu")]
    assert started(line, plain, carded) == [(1, "plain", None), (2, "carded", 0)]


def test_the_smallest_gpu_that_is_enough_leaves_the_others() -> None:
    place = Place("n", 2, {"a": 2}, {0: 24, 1: 8})
    assert started([task(1, "gpu", 6), task(2, "gpu", 20)], place) == [(1, "n", 1), (2, "n", 0)]


def test_ten_thousand_tasks_that_wait_for_one_gpu() -> None:
    place = Place("n", 2, {"a": 2}, {0: 8}, {0: "a job"})
    line = [*(task(number, "gpu") for number in range(10_000)), task(10_000)]
    assert started(line, place) == [(10_000, "n", None)]


@pytest.mark.parametrize("word", ["cuda", "gpu:", "gpu:x", "GPU", "1"])
def test_a_word_that_means_no_gpu(word: str) -> None:
    with pytest.raises(ValueError, match="gpu is"):
        Demand(word)


def test_nothing_to_do() -> None:
    assert decide(Snapshot((), ())) == []
