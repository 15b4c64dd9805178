from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

import encoders.device
from encoders import (
    EncoderInvalidError,
    Provider,
    ProviderUnavailableError,
    SentenceEncoder,
    Tokens,
)
from encoders.assembly import assemble_bert
from tests.unit.encoding.tiny_bert import (
    CONFIG,
    tiny_tokenizer,
    write_json,
    write_lookup,
    write_source,
)

TEXTS = ["the cat sat", "", "dogs!", "a b c d e f g h i j a b c", "你好", "the the", "mat."]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    directory = write_source(tmp_path_factory.mktemp("tiny"))
    assemble_bert(directory, directory / "model.onnx")
    return directory


@pytest.fixture
def directory(source, tmp_path):
    """A copy that a test may spoil."""
    for path in source.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(source)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return tmp_path


def load(directory: Path, **options):
    return SentenceEncoder.load(directory, provider=Provider.CPU, threads=1, **options)


@pytest.fixture(scope="module")
def encoder(source):
    return load(source)


def test_what_an_encoder_says_of_itself(encoder):
    assert (encoder.dimension, encoder.max_tokens) == (8, 12)
    assert encoder.provider == "CPUExecutionProvider"
    assert len(encoder.revision) == 16
    assert int(encoder.revision, 16) >= 0


def test_vectors_are_unit_float32_and_contiguous(encoder):
    encoded = encoder.encode(TEXTS)
    assert encoded.vectors.shape == (len(TEXTS), 8)
    assert encoded.vectors.dtype == np.float32
    assert encoded.vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), 1, rtol=1e-6)


def test_truncation_is_reported(encoder):
    assert encoder.encode(TEXTS).truncated.tolist() == [text == TEXTS[3] for text in TEXTS]


def test_no_texts(encoder):
    encoded = encoder.encode([])
    assert encoded.vectors.shape == (0, 8)
    assert encoded.truncated.shape == (0,)
    assert encoder.encode_tokens([]).dtype == np.float32


def test_company_and_order_change_nothing(encoder):
    together = encoder.encode(TEXTS).vectors
    alone = np.concatenate([encoder.encode([text]).vectors for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = encoder.encode([TEXTS[index] for index in order]).vectors
    np.testing.assert_allclose(shuffled, together[order], atol=1e-6)


def test_more_texts_than_one_run_holds(encoder):
    texts = [" ".join("abcdefghij"[: 1 + index % 10]) for index in range(300)]
    vectors = encoder.encode(texts).vectors
    np.testing.assert_allclose(vectors[290:], vectors[:10], atol=1e-6)


def test_what_is_cut_apart_is_run_apart_and_nothing_else(encoder, monkeypatch):
    texts = [" ".join("abcdefghij"[: 1 + index % 10]) for index in range(300)]
    tokens = encoder.tokenise(texts)
    shapes, honest = [], encoder.network.run

    def run(_, ids, mask, **how):
        shapes.append(ids.shape)
        return honest(ids, mask, **how)

    monkeypatch.setattr(type(encoder.network), "run", run)
    whole = encoder.encode_tokens(tokens)
    at_once, vectors = shapes.copy(), np.zeros_like(whole)
    shapes.clear()
    for chosen in encoder.cut(tokens):
        vectors[chosen] = encoder.encode_tokens([tokens[index] for index in chosen])
    assert shapes == at_once
    assert len(shapes) > 1
    np.testing.assert_array_equal(vectors, whole)


def test_many_threads_may_share_it(encoder):
    expected = encoder.encode(TEXTS).vectors
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(encoder.encode, [TEXTS] * 40):
            np.testing.assert_allclose(found.vectors, expected, atol=1e-6)


def test_cls_differs_from_mean(directory, encoder):
    write_json(directory / "1_Pooling/config.json", {"pooling_mode_cls_token": True})
    cls = load(directory)
    assert np.abs(cls.encode(TEXTS).vectors - encoder.encode(TEXTS).vectors).max() > 0.01
    ids = cls.tokenise(["the cat"])[0].ids[None]
    first = cls.network.run(ids, np.ones_like(ids))[0, 0]
    expected = first / np.linalg.norm(first)
    np.testing.assert_allclose(cls.encode(["the cat"]).vectors[0], expected, atol=1e-6)


def test_max_tokens_may_be_set_up_to_the_positions(source):
    assert load(source, max_tokens=4).encode(["a b", "a b c"]).truncated.tolist() == [False, True]
    assert load(source, max_tokens=16).max_tokens == 16
    with pytest.raises(EncoderInvalidError, match="only 16 positions") as caught:
        load(source, max_tokens=17)
    assert caught.value.field == "max_tokens"


def test_revision_follows_what_decides_the_vectors(source, directory, encoder):
    assert load(directory).revision == encoder.revision
    assert load(source, max_tokens=5).revision != encoder.revision
    write_json(directory / "1_Pooling/config.json", {"pooling_mode": "cls"})
    assert load(directory).revision != encoder.revision
    write_json(directory / "1_Pooling/config.json", {"pooling_mode": "mean"})
    assert load(directory).revision == encoder.revision
    (directory / "model.onnx.data").write_bytes(b"weights beside the model")
    assert load(directory).revision != encoder.revision
    (directory / "model.onnx.data").unlink()
    tiny_tokenizer(template=False).save(str(directory / "tokenizer.json"))
    assert load(directory).revision != encoder.revision


@pytest.mark.parametrize("output", ["token_embeddings", "states"])
@pytest.mark.parametrize("integer", [TensorProto.INT32, TensorProto.INT64])
def test_a_foreign_model_with_vectors_per_token(tmp_path, output, integer):
    table = write_lookup(tmp_path, output, integer=integer)
    encoder = load(tmp_path)
    assert (encoder.dimension, encoder.max_tokens) == (6, 512)
    ids = encoder.tokenise(["the cat"])[0].ids
    mean = table[ids].mean(axis=0)
    expected = mean / np.linalg.norm(mean)
    np.testing.assert_allclose(encoder.encode(["the cat", "a"]).vectors[0], expected, atol=1e-6)


def test_a_foreign_model_that_pools_by_itself(tmp_path):
    table = write_lookup(tmp_path, "token_embeddings", "sentence_embedding")
    write_json(tmp_path / "1_Pooling/config.json", {"pooling_mode": "max"})
    write_json(tmp_path / "modules.json", [{"type": "models.Dense"}])
    encoder = load(tmp_path)
    total = table[encoder.tokenise(["the cat"])[0].ids].sum(axis=0)
    expected = total / np.linalg.norm(total)
    np.testing.assert_allclose(encoder.encode(["the cat"]).vectors[0], expected, atol=1e-6)


def test_a_text_without_any_token_is_zero_not_nan(tmp_path):
    write_lookup(tmp_path, "token_embeddings")
    tiny_tokenizer(template=False).save(str(tmp_path / "tokenizer.json"))
    encoder = load(tmp_path)
    vectors = encoder.encode(["", "cat"]).vectors
    assert not vectors[0].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[1]), 1, rtol=1e-6)


def test_nan_from_the_model_is_refused(tmp_path):
    write_lookup(tmp_path, "token_embeddings")
    path = tmp_path / "onnx/model.onnx"
    model = onnx.load(str(path))
    table = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    table[5] = np.nan
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(table, "table"))
    onnx.save(model, str(path))
    encoder = load(tmp_path)
    with pytest.raises(EncoderInvalidError, match="gave NaN or infinity"):
        encoder.encode_tokens([Tokens(np.array([5]), truncated=False)])


def test_a_model_with_a_fixed_shape_is_refused(tmp_path):
    write_lookup(tmp_path, "token_embeddings", axes=(1, 16))
    with pytest.raises(EncoderInvalidError, match="fixed shape for input_ids"):
        load(tmp_path)


def test_a_model_without_vectors_is_refused(directory):
    model = onnx.load(str(directory / "model.onnx"))
    model.graph.output[0].CopyFrom(
        onnx.helper.make_tensor_value_info("mask", TensorProto.INT32, ["batch", "sequence"])
    )
    onnx.save(model, str(directory / "model.onnx"))
    with pytest.raises(EncoderInvalidError, match="gives neither sentence_embedding nor"):
        load(directory)


def test_an_unknown_input_is_refused(directory):
    model = onnx.load(str(directory / "model.onnx"))
    model.graph.input.append(
        onnx.helper.make_tensor_value_info("position_ids", TensorProto.INT64, ["batch", "sequence"])
    )
    onnx.save(model, str(directory / "model.onnx"))
    with pytest.raises(EncoderInvalidError, match="wants the input position_ids"):
        load(directory)


@pytest.mark.parametrize("content", [b"", b"not an ONNX model"])
def test_a_file_that_is_no_model_is_refused(directory, content):
    (directory / "model.onnx").write_bytes(content)
    with pytest.raises(EncoderInvalidError, match=r"model\.onnx is not a model"):
        load(directory)


def test_a_model_of_another_size_is_refused(directory):
    write_json(directory / "config.json", CONFIG | {"hidden_size": 9})
    write_json(directory / "1_Pooling/config.json", {"pooling_mode": "mean"})
    with pytest.raises(EncoderInvalidError, match=r"gives 8 numbers per token, but .* 9"):
        load(directory)


def test_a_model_that_fails_on_a_text_is_refused(directory):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["One", "text"])
    tokenizer.save(str(directory / "tokenizer.json"))
    with pytest.raises(EncoderInvalidError, match="fails on a plain text"):
        load(directory)


def test_no_threads_are_refused(source):
    with pytest.raises(EncoderInvalidError, match="give at least 1") as caught:
        SentenceEncoder.load(source, threads=0)
    assert caught.value.field == "threads"


class FakeSession:
    """A session that says which provider it came out on."""

    came_out_on = "CPUExecutionProvider"
    real = onnxruntime.InferenceSession

    def __init__(self, path, options, *, providers, provider_options, enable_fallback):
        assert enable_fallback == 0
        self.provider_options = dict(zip(providers, provider_options, strict=True))
        if self.came_out_on == "nothing" and providers[0] == "CUDAExecutionProvider":
            raise RuntimeError("no CUDA-capable device is detected")
        self.inner = FakeSession.real(path, options, providers=["CPUExecutionProvider"])
        on_cuda = providers[0] == self.came_out_on
        self.found = providers if on_cuda else ["CPUExecutionProvider"]

    def get_providers(self):
        return self.found

    def __getattr__(self, name):
        return getattr(self.inner, name)


@pytest.fixture
def cuda_built_in(monkeypatch):
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)


@pytest.mark.usefixtures("cuda_built_in")
@pytest.mark.parametrize("came_out_on", ["CPUExecutionProvider", "nothing"])
def test_cuda_that_is_not_usable_is_said_and_never_replaced(source, monkeypatch, came_out_on):
    monkeypatch.setattr(FakeSession, "came_out_on", came_out_on)
    with pytest.raises(ProviderUnavailableError, match="CUDA was asked for") as caught:
        SentenceEncoder.load(source, provider=Provider.CUDA, threads=1)
    assert caught.value.field == "provider"
    auto = SentenceEncoder.load(source, provider=Provider.AUTO, threads=1)
    assert auto.provider == "CPUExecutionProvider"


@pytest.fixture
def on_a_card(cuda_built_in, monkeypatch):  # noqa: ARG001  it is wanted for what it sets
    """CUDA that is a CPU in truth, so that what is bound to it can run."""
    monkeypatch.setattr(FakeSession, "came_out_on", "CUDAExecutionProvider")
    monkeypatch.setattr(encoders.device, "DEVICE", "cpu")


@pytest.mark.usefixtures("on_a_card")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(st.integers(4, 20), min_size=1, max_size=12), min_size=1, max_size=40)
)
def test_the_shapes_of_a_card_change_no_vector(encoder, card_encoder, rows):
    tokens = [Tokens(np.array(row), truncated=False) for row in rows]
    np.testing.assert_allclose(
        card_encoder.encode_tokens(tokens), encoder.encode_tokens(tokens), atol=1e-5
    )


@pytest.fixture
def card_encoder(on_a_card, source):  # noqa: ARG001  it is wanted for what it sets
    return SentenceEncoder.load(source, provider=Provider.CUDA, threads=1)


def test_a_card_has_runs_of_few_shapes_that_fit_the_positions(card_encoder, monkeypatch):
    shapes = []
    real = encoders.device.DeviceRuns.run
    monkeypatch.setattr(
        encoders.device.DeviceRuns,
        "run",
        lambda self, feed, types: shapes.append(feed["input_ids"].shape) or real(self, feed, types),
    )
    for count in (1, 9, 11, 33):
        tokens = [Tokens(np.array([4, 5, 6]), truncated=False)] * count
        assert card_encoder.encode_tokens(tokens).shape == (count, 8)
    # Of a multiple of 16 tokens, but for the 12 that this encoder reads.
    assert shapes == [(1, 12), (10, 12), (12, 12), (40, 12)]


def test_a_card_takes_large_batches_two_at_a_time(card_encoder, encoder, monkeypatch):
    assert (card_encoder.batch_tokens, card_encoder.batches_at_a_time) == (16_384, 2)
    monkeypatch.setattr(encoders.sentence, "cpu_limit", lambda: 8)
    assert (encoder.batch_tokens, encoder.batches_at_a_time) == (2048, 8)


def test_a_card_computes_in_the_precision_that_the_revision_names(card_encoder):
    given_to_cuda = card_encoder.network.session.provider_options["CUDAExecutionProvider"]
    assert given_to_cuda["use_tf32"] == "0"
    assert given_to_cuda["enable_cuda_graph"] == "0"


@pytest.mark.usefixtures("on_a_card")
def test_cuda_is_used_where_it_is_usable_and_not_where_cpu_was_asked(source):
    for provider in (Provider.AUTO, Provider.CUDA):
        encoder = SentenceEncoder.load(source, provider=provider, threads=1)
        assert encoder.provider == "CUDAExecutionProvider"
        np.testing.assert_allclose(
            np.linalg.norm(encoder.encode(TEXTS).vectors, axis=1), 1, rtol=1e-6
        )
    assert load(source).provider == "CPUExecutionProvider"


def test_cuda_that_is_not_built_in_is_said(source, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ProviderUnavailableError, match="install onnxruntime-gpu"):
        SentenceEncoder.load(source, provider=Provider.CUDA, threads=1)


def test_sessions_are_kind_to_their_neighbours(source):
    options = load(source).network.session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_cpu_normalises_by_the_quick_operator(source, tmp_path):
    session = load(source).network.session
    options = session.get_session_options()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(
        str(source / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    names = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert names.count("LayerNormalization") == 2 * CONFIG["num_hidden_layers"]
    assert "SkipLayerNormalization" not in names


def test_threads_default_to_the_limit_of_the_process(source, monkeypatch):
    monkeypatch.setattr(encoders.sentence, "cpu_limit", lambda: 3)
    options = SentenceEncoder.load(source).network.session.get_session_options()
    assert options.intra_op_num_threads == 3
