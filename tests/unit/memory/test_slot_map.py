import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scoring.memory.exact import Window
from scoring.memory.neighbours import Near
from scoring.memory.slots import SlotMap, hashed

CAPACITY = 7
NOBODY = Window(np.zeros((0, 1), np.float32), np.zeros(0, np.bool_), np.zeros(0, np.int64))


def check_nearest(slots, model, next_seq):
    """Sample number s lies s away from every prompt: by a graph, by the buffers, or by both."""
    seqs = np.array(sorted(model), np.int64)
    window = Window(np.sqrt(seqs).astype(np.float32)[:, None], np.ones(len(seqs), np.bool_), seqs)
    half = Window(*(part[::2] for part in window))
    rest = Window(*(part[1::2] for part in window))
    names = ["", *map(str, model), str(next_seq)]
    prompts = np.zeros((len(names), 1), np.float32)
    found = np.tile(np.append(seqs, -1), (len(names), 1))
    near = [
        Near(found, found.astype(np.float32), NOBODY, NOBODY),
        Near(found[:, :0], np.zeros((len(names), 0), np.float32), window, NOBODY),
        Near(found[:, :0], np.zeros((len(names), 0), np.float32), *map(contiguous, (rest, half))),
    ]
    for each in near:
        for k in (0, 2, CAPACITY):
            placed = slots.nearest(prompts, each, k, names)
            begins = [0, *placed.ends]
            for name, begin, end in zip(names, begins, placed.ends, strict=False):
                others = [seq for seq in sorted(model) if str(seq) != name][:k]
                assert placed.slots[begin:end].tolist() == [model[other] for other in others]
                np.testing.assert_allclose(placed.squared[begin:end], others, rtol=1e-6)
            assert len(placed.slots) == len(placed.squared) == placed.ends[-1]


def contiguous(window):
    return Window(*map(np.ascontiguousarray, window))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60))
def test_follows_a_dictionary(steps):
    slots, model, next_seq = SlotMap(CAPACITY), {}, 0
    for adding, number in steps:
        if adding:
            if next_seq - CAPACITY in model:
                slots.remove(next_seq - CAPACITY)
                del model[next_seq - CAPACITY]
            peeked = slots.peek()
            model[next_seq] = (slots.add(next_seq, float(number), str(next_seq)), float(number))
            assert model[next_seq][0] == peeked
            next_seq += 1
        elif model:
            seq = sorted(model)[number % len(model)]
            slots.remove(seq)
            del model[seq]
        assert slots.live == len(model)
        assert len({slot for slot, _ in model.values()}) == len(model)
        assert all(slot < slots.rows <= CAPACITY for slot, _ in model.values())
        for seq in range(-3, next_seq + 3):
            assert slots.slot(seq) == (model[seq][0] if seq in model else None)
        seqs = sorted(model)
        assert slots.slots(np.array(seqs, np.int64)).tolist() == [model[seq][0] for seq in seqs]
        for seq in range(next_seq + 3):
            assert slots.named(str(seq)) == (model[seq][0] if seq in model else None)
        check_nearest(slots, {seq: slot for seq, (slot, _) in model.items()}, next_seq)
        assert slots.learned_before(10) == [seq for seq in seqs if model[seq][1] < 10]
        times = [time for _, time in model.values()]
        assert slots.times() == ((min(times), max(times)) if times else None)


def test_what_it_looks_at_grows_with_the_living_and_not_with_the_capacity():
    slots = SlotMap(1000)
    for seq in range(5):
        slots.add(seq, float(seq), str(seq))
    slots.remove(0)
    slots._learned_at[5:] = 0.5  # which nobody may look at
    slots._names[5:] = hashed("beyond")
    assert slots.times() == (1.0, 4.0)
    assert slots.named("3") == 3
    assert slots.named("beyond") is None
    assert slots.learned_before(3.0) == [1, 2]


def test_any_text_may_be_looked_for():
    assert SlotMap(4).named("\ud800") is None
