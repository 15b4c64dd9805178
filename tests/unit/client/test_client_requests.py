"""What prompts and answers may look like, and what is sent for them."""

import array
import ctypes

import numpy as np
import pytest

from pointsman.client import Embedding, Estimator, Generation, ScoreRequest, enums, vectors
from pointsman.client.requests import score_message
from pointsman.v1 import scoring_service_pb2 as scoring
from pointsman.v1 import types_pb2 as types

FLOATS = [0.5, -1.25, 3.0]
PACKED = np.array(FLOATS, "<f4").tobytes()


@pytest.mark.parametrize(
    "vector",
    [
        FLOATS,
        tuple(FLOATS),
        [np.float32(each) for each in FLOATS],
        array.array("f", FLOATS),
        array.array("d", FLOATS),
        memoryview(array.array("f", FLOATS)),
        (ctypes.c_float * 3)(*FLOATS),
        np.array(FLOATS, np.float32),
        np.array(FLOATS, np.float64),
        np.array(FLOATS, ">f4"),
        np.array(FLOATS, ">f8"),
        np.array([FLOATS, FLOATS], np.float32)[:, :].T.copy()[:, 0],
        np.array(FLOATS, np.float32).repeat(2)[::2],
        np.frombuffer(PACKED, np.float32),
    ],
    ids=[
        "list",
        "tuple",
        "numpy scalars",
        "array f",
        "array d",
        "memoryview",
        "ctypes",
        "float32",
        "float64",
        "big-endian float32",
        "big-endian float64",
        "column",
        "strided",
        "read-only",
    ],
)
def test_every_kind_of_vector_is_packed_alike(vector):
    assert vectors.is_vector(vector)
    assert vectors.to_message(vector) == types.Vector(float32_le=PACKED)


def test_whole_numbers_are_a_vector():
    assert vectors.to_message([1, 0]).float32_le == np.array([1, 0], "<f4").tobytes()


def test_not_a_number_is_left_for_the_server_to_refuse():
    packed = vectors.to_message([float("nan"), float("inf")]).float32_le
    assert packed == np.array([np.nan, np.inf], "<f4").tobytes()


@pytest.mark.parametrize(
    ("vector", "kind", "message"),
    [
        (b"1234", TypeError, "must be float32 or float64, not of buffer format 'B'"),
        (np.array([1, 2]), TypeError, "must be float32 or float64, not of buffer format"),
        (np.zeros((2, 2), np.float32), ValueError, "must have one dimension, not 2"),
        (np.float32(1), ValueError, "must have one dimension, not 0"),
        ([1.0, "2"], TypeError, "must hold numbers alone"),
    ],
)
def test_what_is_no_vector(vector, kind, message):
    with pytest.raises(kind, match=message):
        vectors.to_message(vector)


@pytest.mark.parametrize("big_endian", [False, True])
def test_vectors_come_back(monkeypatch, big_endian):
    monkeypatch.setattr(vectors, "_HOST_IS_BIG_ENDIAN", big_endian)
    packed = vectors.to_bytes(FLOATS)
    assert list(vectors.from_bytes(packed)) == FLOATS
    assert list(vectors.from_message(types.Vector(float32_le=packed))) == FLOATS
    assert list(vectors.from_message(types.Vector(values=FLOATS))) == FLOATS


def test_a_big_endian_host_swaps(monkeypatch):
    monkeypatch.setattr(vectors, "_HOST_IS_BIG_ENDIAN", True)
    # The bytes of this test's own host pass for native there, and so come out swapped.
    swapped = np.array(FLOATS, "=f4").byteswap().tobytes()
    assert vectors.to_bytes(array.array("f", FLOATS)) == swapped


def test_returned_vectors_are_read_only():
    for each in (vectors.from_bytes(PACKED), vectors.from_message(types.Vector(values=FLOATS))):
        with pytest.raises(TypeError):
            each[0] = 1.0


def sent(generations):
    message = score_message(ScoreRequest("why?", generations))
    return [
        (each.voter, each.text or np.frombuffer(each.vector.float32_le, "<f4").tolist())
        for each in message.generations
    ]


@pytest.mark.parametrize(
    ("generations", "expected"),
    [
        ({"a": "yes", "b": "no"}, [("a", "yes"), ("b", "no")]),
        ({"a": ["yes", "no"]}, [("a", "yes"), ("a", "no")]),
        ({"a": [1.0, 2.0]}, [("a", [1.0, 2.0])]),
        ({"a": [[1.0, 2.0], [3.0, 4.0]]}, [("a", [1.0, 2.0]), ("a", [3.0, 4.0])]),
        ({"a": np.array([1, 2], np.float32)}, [("a", [1.0, 2.0])]),
        ({"a": np.array([[1, 2], [3, 4]], np.float32)}, [("a", [1.0, 2.0]), ("a", [3.0, 4.0])]),
        ({"a": (np.ones(2), np.zeros(2))}, [("a", [1.0, 1.0]), ("a", [0.0, 0.0])]),
        ([("a", "yes"), ("b", "no"), ("a", "so")], [("a", "yes"), ("b", "no"), ("a", "so")]),
        ([("a", ["yes", "so"])], [("a", "yes"), ("a", "so")]),
        ([("a", [1.0, 2.0])], [("a", [1.0, 2.0])]),
        ([Generation("a", "yes"), ("b", "no")], [("a", "yes"), ("b", "no")]),
        ({}, []),
        ([], []),
    ],
)
def test_generations_in_every_form(generations, expected):
    assert sent(generations) == expected


@pytest.mark.parametrize(
    ("generations", "kind", "message"),
    [
        ({"a": []}, ValueError, "The voter 'a' has no answers; leave it out"),
        ({"a": None}, TypeError, "answer of the voter 'a' must be text or a vector.*not NoneType"),
        ({"a": 3.0}, TypeError, "answer of the voter 'a' must be text or a vector.*not float"),
        ({"a": [["yes"]]}, TypeError, "answer of the voter 'a' must be text or a vector.*not list"),
        ({"a": {"text": "yes"}}, TypeError, "answer of the voter 'a'.*not dict"),
        ({"a": b"yes"}, TypeError, "must be float32 or float64"),
        (["yes"], TypeError, r"must be a \(voter, answer\) pair or a Generation, not str"),
        ([("a", "yes", "no")], TypeError, "not tuple"),
    ],
)
def test_generations_that_cannot_be_sent(generations, kind, message):
    with pytest.raises(kind, match=message):
        sent(generations)


@pytest.mark.parametrize("prompt", [None, 3.0, [], {"text": "why?"}, ["why?"]])
def test_prompts_that_cannot_be_sent(prompt):
    with pytest.raises(TypeError, match="A prompt must be text or a vector, not"):
        score_message(ScoreRequest(prompt, {"a": "yes"}))


@pytest.mark.parametrize("estimator", [each for each in Estimator if each is not Estimator.UNKNOWN])
def test_every_estimator_has_its_number(estimator):
    number = enums.estimator_number(estimator)
    assert scoring.Estimator.Name(number) == f"ESTIMATOR_{estimator.upper()}"
    assert enums.estimator_number(str(estimator)) == number
    assert enums.estimator_of(number) is estimator


def test_every_number_of_the_contract_has_a_name_here():
    estimators = {enums.estimator_of(each) for each in scoring.Estimator.values() if each}
    assert Estimator.UNKNOWN not in estimators
    assert enums.Durability.UNKNOWN not in map(enums.durability_of, types.Durability.values())
    embeddings = {enums.embedding_number(each) for each in Embedding}
    assert embeddings == set(scoring.Embedding.values()) - {scoring.EMBEDDING_UNSPECIFIED}


@pytest.mark.parametrize("number", [0, 99])
def test_numbers_of_another_release_are_unknown(number):
    assert enums.estimator_of(number) is Estimator.UNKNOWN
    assert enums.durability_of(99) is enums.Durability.UNKNOWN


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"estimator": "locl"}, "'locl' is no estimator; choose one of global, local, single"),
        ({"estimator": Estimator.UNKNOWN}, "is no estimator"),
        ({"embedding": "answer"}, "'answer' is no embedding; choose one of generation, prompt_and"),
    ],
)
def test_choices_that_do_not_exist(choice, message):
    with pytest.raises(ValueError, match=message):
        score_message(ScoreRequest("why?", {"a": "yes"}, **choice))


def test_absent_choices_are_left_to_the_server():
    message = score_message(ScoreRequest("why?", {"a": "yes"}))
    assert (message.estimator, message.embedding) == (0, 0)
    assert not message.HasField("neighbours")


def test_the_client_needs_no_numpy():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from pointsman.client.vectors import to_message\n"
        "assert to_message([1.0]).float32_le"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
