import pytest

from encoders import EncoderInvalidError, EncoderNotFoundError
from encoders.layout import Layout
from encoders.pooling import Pooling
from tests.unit.encoding.tiny_bert import CONFIG, write_json, write_source


@pytest.fixture
def directory(tmp_path):
    write_source(tmp_path)
    (tmp_path / "model.onnx").touch()
    return tmp_path


def test_everything_is_read(directory):
    layout = Layout.read(directory)
    assert layout.model == directory / "model.onnx"
    assert (layout.max_tokens, layout.positions, layout.pad_id) == (12, 16, 0)
    assert layout.embedding_size == 8
    assert layout.require_pooling() is Pooling.MEAN
    assert layout.modules == ("Transformer", "Pooling", "Normalize")
    assert not layout.lowercase


def test_the_model_may_lie_in_a_folder_onnx(directory):
    (directory / "onnx").mkdir()
    (directory / "model.onnx").rename(directory / "onnx/model.onnx")
    assert Layout.read(directory).model == directory / "onnx/model.onnx"


def test_without_the_optional_files_mean_and_the_positions_count(directory):
    for name in ("1_Pooling/config.json", "modules.json", "sentence_bert_config.json"):
        (directory / name).unlink()
    layout = Layout.read(directory)
    assert layout.require_pooling() is Pooling.MEAN
    assert layout.max_tokens == 16


@pytest.mark.parametrize(
    ("changes", "limits"),
    [
        ({}, (16, 16)),
        ({"max_position_embeddings": None}, (512, None)),
        ({"model_type": "roberta", "pad_token_id": 1}, (14, 14)),
        ({"model_type": "mpnet", "pad_token_id": 1}, (14, 14)),
    ],
)
def test_limits_from_the_model_config(directory, changes, limits):
    (directory / "sentence_bert_config.json").unlink()
    write_json(directory / "config.json", CONFIG | changes)
    layout = Layout.read(directory)
    assert (layout.max_tokens, layout.positions) == limits


@pytest.mark.parametrize(("length", "limit"), [(10, 10), (1e30, 16), (None, 16)])
def test_limit_from_the_tokenizer_config(directory, length, limit):
    write_json(directory / "sentence_bert_config.json", {"max_seq_length": None})
    write_json(directory / "tokenizer_config.json", {"model_max_length": length})
    assert Layout.read(directory).max_tokens == limit


def test_no_limit_anywhere(directory):
    (directory / "sentence_bert_config.json").unlink()
    write_json(directory / "tokenizer_config.json", {"model_max_length": 1e30})
    write_json(directory / "config.json", CONFIG | {"max_position_embeddings": None})
    assert Layout.read(directory).max_tokens == 512


@pytest.mark.parametrize(
    ("pooling", "found"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, Pooling.CLS),
        ({"pooling_mode": "mean"}, Pooling.MEAN),
        ({"pooling_mode": "cls", "embedding_dimension": 8}, Pooling.CLS),
        ({"pooling_mode": ["mean"]}, Pooling.MEAN),
    ],
)
def test_both_spellings_of_pooling(directory, pooling, found):
    write_json(directory / "1_Pooling/config.json", pooling)
    assert Layout.read(directory).require_pooling() is found


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "mean and cls"),
        ({"pooling_mode_mean_tokens": False}, "nothing"),
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
    ],
)
def test_other_pooling_is_refused(directory, pooling, named):
    write_json(directory / "1_Pooling/config.json", pooling)
    with pytest.raises(EncoderInvalidError, match=f"pools by {named}; only mean or cls"):
        Layout.read(directory).require_pooling()


def test_the_pooling_folder_is_the_one_that_modules_names(directory):
    types = [{"type": "m.Transformer", "path": ""}, {"type": "m.Pooling", "path": "elsewhere"}]
    write_json(directory / "modules.json", types)
    write_json(directory / "elsewhere/config.json", {"pooling_mode": "cls"})
    assert Layout.read(directory).require_pooling() is Pooling.CLS


def test_a_further_module_is_refused(directory):
    write_json(directory / "modules.json", [{"type": "m.Transformer"}, {"type": "m.Dense"}])
    with pytest.raises(EncoderInvalidError, match="wants the module Dense"):
        Layout.read(directory).require_pooling()


def test_lower_case_is_read(directory):
    write_json(directory / "sentence_bert_config.json", {"do_lower_case": True})
    assert Layout.read(directory).lowercase


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_missing_file_is_named(directory, name):
    (directory / name).unlink()
    with pytest.raises(EncoderNotFoundError, match=name):
        Layout.read(directory)


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(EncoderNotFoundError, match="nowhere is not a directory"):
        Layout.read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["config.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json"]
)
@pytest.mark.parametrize("content", ["{", "3", '"text"', "[3]"])
def test_a_file_that_is_not_what_it_should_be_is_named(directory, name, content):
    (directory / name).write_text(content)
    with pytest.raises(EncoderInvalidError, match=name):
        Layout.read(directory)


@pytest.mark.parametrize("value", [0, -1, "12", True, [], 1e400])
def test_a_nonsense_number_is_named(directory, value):
    write_json(directory / "sentence_bert_config.json", {"max_seq_length": value})
    with pytest.raises(EncoderInvalidError, match=r"max_seq_length in .* must be at least 1"):
        Layout.read(directory)


def test_files_of_different_encoders_are_refused(directory):
    write_json(directory / "1_Pooling/config.json", {"word_embedding_dimension": 9})
    with pytest.raises(EncoderInvalidError, match="of different encoders"):
        Layout.read(directory)
