"""The comparison with MLServer: its messages, its mix of prompts, and the ideal server."""

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.mlserver_runtime.messages import text_request, vector_request
from benchmarks.speed.generator import Plan, arrival_times
from benchmarks.speed.histogram import Histogram
from benchmarks.speed.ideal import ideal_latencies
from benchmarks.speed.paired import Rounds, tail
from benchmarks.speed.services import POPULAR, half_popular

STRING, BYTES, INT64, FLOAT, MESSAGE = 9, 12, 3, 2, 11


@pytest.fixture(scope="module")
def infer_request():
    """ModelInferRequest of the V2 protocol, as far as it is used."""
    file = descriptor_pb2.FileDescriptorProto(name="v2.proto", package="v2", syntax="proto3")
    for name, fields in {
        "Contents": [("fp32_contents", 6, FLOAT, True), ("bytes_contents", 8, BYTES, True)],
        "Tensor": [
            ("name", 1, STRING, False),
            ("datatype", 2, STRING, False),
            ("shape", 3, INT64, True),
            ("contents", 5, "Contents", False),
        ],
        "Request": [
            ("model_name", 1, STRING, False),
            ("inputs", 5, "Tensor", True),
            ("raw_input_contents", 7, BYTES, True),
        ],
    }.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            added = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                added.type, added.type_name = MESSAGE, f".v2.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("v2.Request"))


@given(texts=st.lists(st.text(), min_size=1))
def test_texts_arrive_at_mlserver(infer_request, texts):
    request = infer_request.FromString(text_request("prompt", texts))
    (tensor,) = request.inputs
    assert (request.model_name, tensor.name, tensor.datatype) == ("pointsman", "prompt", "BYTES")
    assert list(tensor.shape) == [1, len(texts)]
    assert [each.decode() for each in tensor.contents.bytes_contents] == texts


@pytest.mark.parametrize("form", ["bytes", "contents", "raw"])
def test_vectors_arrive_at_mlserver(infer_request, form):
    vectors = np.random.default_rng(0).standard_normal((5, 384)).astype(np.float32)
    request = infer_request.FromString(vector_request("vectors", vectors, form))
    (tensor,) = request.inputs
    arrived = {
        "bytes": b"".join(tensor.contents.bytes_contents),
        "contents": np.array(tensor.contents.fp32_contents, "<f4").tobytes(),
        "raw": b"".join(request.raw_input_contents),
    }
    assert np.array_equal(np.frombuffer(arrived.pop(form), "<f4").reshape(5, 384), vectors)
    assert not any(arrived.values())
    assert list(tensor.shape) == ([1, 1] if form == "bytes" else [1, 5, 384])
    assert tensor.datatype == ("BYTES" if form == "bytes" else "FP32")


def test_half_of_the_prompts_are_popular():
    prompts = half_popular(4000)
    often = {prompt for prompt in prompts if prompts.count(prompt) > 1}
    share = sum(prompt in often for prompt in prompts) / len(prompts)
    assert 0.45 < share < 0.55
    assert len(often) <= POPULAR


def test_a_tail_is_of_each_round_or_of_all_together():
    quick, slow = np.full(99, 0.001), np.full(99, 0.004)
    ours = [Histogram.of([*quick, each]) for each in (0.001, 0.001, 0.5)]
    theirs = [Histogram.of([*slow, each]) for each in (0.5, 0.5, 0.5)]
    found = Rounds(latencies=(ours, theirs))
    by_round = tail("name", "what", found)
    assert by_round.measured.runs == 3
    assert by_round.measured.median == pytest.approx(1, rel=1e-3)
    together = tail("name", "what", found.together())
    assert together.measured.runs == 1
    assert together.judged == pytest.approx(0.25, rel=2e-3)
    assert [each.count for (each,) in found.together().latencies] == [300, 300]


def test_an_ideal_server_has_no_queue_where_there_is_time():
    plan = Plan(5.0, 1.0, rate=20.0, arrivals="constant")
    latencies = ideal_latencies(plan, np.array([0.01, 0.02]))
    assert latencies.size == 100
    np.testing.assert_allclose(np.sort(latencies), [0.01] * 50 + [0.02] * 50)


@given(st.integers(0, 50), st.floats(1.0, 200.0), st.lists(st.floats(0.001, 0.05), min_size=1))
def test_an_ideal_server_is_never_idle_while_somebody_waits(seed, rate, seconds):
    plan = Plan(2.0, 0.5, rate=rate, seed=seed)
    dues, takes = arrival_times(plan), np.array(seconds)
    takes = takes[np.arange(dues.size) % len(takes)]
    # The textbook's: the latest of all begins, plus all the work since.
    work = np.concatenate([[0.0], np.cumsum(takes)])
    ends = [max(dues[: n + 1] + work[n + 1] - work[: n + 1]) for n in range(dues.size)]
    expected = (np.array(ends) - dues)[dues >= plan.warm_up]
    np.testing.assert_allclose(ideal_latencies(plan, np.array(seconds)), expected, atol=1e-9)
