"""The policy: a pure function, so its properties are tested on anything."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from zeus.model import Place, Snapshot, Task
from zeus.schedule.decide import decide

ENGINES = ["a", "b", "c"]
TASKS = st.lists(st.tuples(st.sampled_from(ENGINES), st.integers(0, 100)).map(lambda each: each), max_size=20).map(
    lambda each: tuple(Task(number, str(number), *one, attempt=0) for number, one in enumerate(each))
)
PLACES = st.lists(
    st.tuples(st.integers(-1, 4), st.dictionaries(st.sampled_from(ENGINES), st.integers(-1, 3))), max_size=3
).map(lambda each: tuple(Place(f"node{number}", *one) for number, one in enumerate(each)))


@given(TASKS, PLACES)
def test_slots_are_kept_and_filled_in_order(tasks: tuple[Task, ...], places: tuple[Place, ...]) -> None:
    made = decide(Snapshot(tasks, places))
    assert len({each.task.id for each in made}) == len(made)
    by_node = Counter(each.place.node for each in made)
    by_engine = Counter((each.place.node, each.task.renderer) for each in made)
    for place in places:
        assert by_node[place.node] <= max(place.free, 0)
        for engine in ENGINES:
            assert by_engine[place.node, engine] <= max(place.engines.get(engine, 0), 0)
    started = {each.task.id for each in made}
    for task in tasks:
        if task.id in started:
            continue
        for place in places:  # whoever waits, waits for a reason: full of others, none of them behind it in the line
            full = by_node[place.node] >= place.free
            busy = by_engine[place.node, task.renderer] >= place.engines.get(task.renderer, 0)
            assert full or busy
            same = [each.task for each in made if each.task.renderer == task.renderer and each.place == place]
            assert all((-other.priority, other.id) < (-task.priority, task.id) for other in same)


def test_nothing_to_do() -> None:
    assert decide(Snapshot((), ())) == []
