import logging

import numpy as np
import onnx
import pytest

from encoders import EncoderInvalidError, EncoderNotFoundError, Provider, SentenceEncoder
from encoders.assembly import assemble_bert
from encoders.quantise import quantise_encoder
from tests.unit.encoding.tiny_bert import write_json, write_source

TEXTS = ["the cat sat", "", "a b c d e f g h i j a b c d", "你好!", "dogs", "the dog sat the mat."]


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    write_source(tmp_path / "source")
    assemble_bert(tmp_path / "source", tmp_path / "source/model.onnx")
    return tmp_path / "source"


def vectors(directory):
    return SentenceEncoder.load(directory, provider=Provider.CPU, threads=1).encode(TEXTS).vectors


def test_the_vectors_are_nearly_the_same(source, tmp_path):
    quantise_encoder(source, tmp_path / "out")
    before, after = vectors(source), vectors(tmp_path / "out")
    assert np.abs(before - after).max() > 0
    assert np.vecdot(before, after).min() > 0.97


def test_a_vector_does_not_depend_on_its_company(source, tmp_path):
    quantise_encoder(source, tmp_path / "out")
    encoder = SentenceEncoder.load(tmp_path / "out", provider=Provider.CPU, threads=1)
    assert encoder.network.runs_alone
    alone = np.vstack([encoder.encode([text]).vectors for text in TEXTS])
    np.testing.assert_array_equal(encoder.encode(TEXTS).vectors, alone)
    assert not SentenceEncoder.load(source, threads=1).network.runs_alone


def test_threads_share_out_texts_where_there_are_several_and_a_text_where_it_is_alone(
    source, tmp_path, monkeypatch
):
    quantise_encoder(source, tmp_path / "out")
    monkeypatch.setattr("encoders.sentence.cpu_limit", lambda: 3)
    encoder = SentenceEncoder.load(tmp_path / "out", provider=Provider.CPU, threads=2)
    one = SentenceEncoder.load(tmp_path / "out", provider=Provider.CPU, threads=1)
    assert (encoder.batches_at_a_time, one.batches_at_a_time) == (3, 3)
    assert (encoder.network.runs_at_a_time, one.network.runs_at_a_time) == (2, 1)
    used = watch_threads(encoder.network.crowd)
    tokens = encoder.tokenise(TEXTS)

    together = encoder.encode_tokens(tokens)
    assert used == [1] * len(TEXTS)
    used.clear()
    alone = np.vstack([encoder.encode_tokens([each]) for each in tokens])
    assert used == [2] * len(TEXTS)
    used.clear()
    crowded = np.vstack([encoder.encode_tokens([each], crowded=True) for each in tokens])
    assert used == [1] * len(TEXTS)

    expected = one.encode_tokens(tokens)
    for found in (together, alone, crowded):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def watch_threads(crowd):
    """Notes of each run how many threads its session has."""
    used = []
    for name in ("_whole", "_single"):
        setattr(crowd, name, Watched(getattr(crowd, name), used))
    return used


class Watched:
    def __init__(self, session, used):
        self.session, self.used = session, used

    def run(self, *arguments):
        self.used.append(self.session.get_session_options().intra_op_num_threads)
        return self.session.run(*arguments)


def test_texts_that_run_together_have_no_session_for_crowds(source):
    encoder = SentenceEncoder.load(source, provider=Provider.CPU, threads=2)
    assert encoder.network.crowd is None
    assert encoder.network.runs_at_a_time == 1


def test_the_weights_are_integers_with_a_scale_per_channel(source, tmp_path):
    quantise_encoder(source, tmp_path / "out")
    graph = onnx.load(tmp_path / "out/model.onnx").graph
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    scales = [array for name, array in arrays.items() if name.endswith("dense.weight_scale")]
    assert sum(array.dtype in (np.int8, np.uint8) and array.ndim == 2 for array in arrays.values())
    assert len(scales) == 6
    assert {array.size for array in scales} == {8, 12}
    assert not any(array.ndim == 2 and array.dtype == np.float32 for array in arrays.values())


def test_the_products_of_two_weights_fit_sixteen_bits(source, tmp_path):
    quantise_encoder(source, tmp_path / "out")
    graph = onnx.load(tmp_path / "out/model.onnx").graph
    arrays = [onnx.numpy_helper.to_array(each) for each in graph.initializer]
    weights = [each for each in arrays if each.dtype == np.int8 and each.ndim == 2]
    # What AVX2 sums before it widens: two products of a weight and an activation of 0 to 255.
    assert weights
    assert all(2 * 255 * np.abs(each.astype(int)).max() < 2**15 for each in weights)


def test_what_lies_around_the_model_comes_along(source, tmp_path):
    write_json(source / "tokenizer_config.json", {"model_max_length": 12})
    quantise_encoder(source, tmp_path / "out")
    kept = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert kept == {
        "1_Pooling/config.json",
        "config.json",
        "model.onnx",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert (source / "model.onnx").stat().st_size != (tmp_path / "out/model.onnx").stat().st_size


def test_a_model_that_is_none_is_refused(source, tmp_path):
    (source / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(EncoderInvalidError, match="can't be quantised"):
        quantise_encoder(source, tmp_path / "out")
    with pytest.raises(EncoderNotFoundError):
        quantise_encoder(tmp_path / "absent", tmp_path / "out")


def test_the_log_of_others_is_as_it_was(source, tmp_path, caplog):
    quantise_encoder(source, tmp_path / "out")
    assert not caplog.records
    assert logging.root.manager.disable == logging.NOTSET
    assert logging.getLogger("other").isEnabledFor(logging.ERROR)
