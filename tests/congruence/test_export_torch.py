"""The exported encoder against the torch model that was trained."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")
transformers = pytest.importorskip("transformers", reason="the extra train is not installed")

from encoders import (  # noqa: E402  # after the skips
    ArtefactInvalidError,
    EncoderInvalidError,
    EncoderNotFoundError,
    Provider,
    SentenceEncoder,
)
from encoders.pooling import Pooling  # noqa: E402
from encoders.training import export  # noqa: E402
from encoders.training.export import export_encoder, prove  # noqa: E402
from tests.unit.encoding.tiny_bert import VOCABULARY, tiny_tokenizer, write_source  # noqa: E402

TEXTS = [
    "the cat sat",
    "",
    "a",
    "a b c d e f g h i j " * 5,
    "你好!",
    "the dog sat, the cat sat.",
    "a b. " * 3,
    "dogs",
]
SIZES = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 66,
}
DEBERTA = {
    "relative_attention": True,
    "position_buckets": 8,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
    "type_vocab_size": 0,
}
ARCHITECTURES = {
    "bert": (transformers.BertConfig, SIZES),
    "bert-relu": (transformers.BertConfig, SIZES | {"hidden_act": "relu"}),
    "roberta": (transformers.RobertaConfig, SIZES),
    "xlm-roberta": (transformers.XLMRobertaConfig, SIZES),
    "mpnet": (transformers.MPNetConfig, SIZES),
    "deberta-v2": (transformers.DebertaV2Config, SIZES | DEBERTA),
}


def write_trained(directory, name):
    """A Hugging Face directory of an architecture, with weights far from linear."""
    make, sizes = ARCHITECTURES[name]
    torch.manual_seed(3)
    # As downloads have it: what is another default in an architecture is not in the file.
    model = transformers.AutoModel.from_config(make(**sizes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    model.save_pretrained(directory)
    tiny_tokenizer().save(str(directory / "tokenizer.json"))
    return directory


@pytest.fixture(params=ARCHITECTURES)
def trained(request, tmp_path):
    return write_trained(tmp_path / request.param, request.param)


def reference(directory, texts, pooling, max_tokens):
    """Unit vectors in float64, one text at a time and so without padding."""
    model = transformers.AutoModel.from_pretrained(directory).double().eval()
    tokenizer = tiny_tokenizer()
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    rows = []
    for text in texts:
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.inference_mode():
            states = model(ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        pooled = states[0] if pooling is Pooling.CLS else states.mean(dim=0)
        rows.append((pooled / pooled.norm()).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("pooling", [Pooling.MEAN, Pooling.CLS])
def test_every_architecture(trained, tmp_path, pooling):
    out = tmp_path / "out"
    export_encoder(trained, out, pooling=pooling, max_tokens=40)
    encoder = SentenceEncoder.load(out, provider=Provider.CPU, threads=1)
    assert (encoder.pooling, encoder.max_tokens, encoder.dimension) == (pooling, 40, 16)
    expected = reference(trained, TEXTS, pooling, 40)
    np.testing.assert_allclose(encoder.encode(TEXTS).vectors, expected, atol=2e-6)
    assert prove(trained, out, TEXTS) <= 2e-6


def test_a_bert_is_assembled_and_another_is_traced(tmp_path, monkeypatch):
    traced = []
    real = export._trace
    monkeypatch.setattr(export, "_trace", lambda *given: (traced.append(1), real(*given)))
    for name, count in (("bert", 0), ("bert-relu", 1), ("mpnet", 2)):
        source = write_trained(tmp_path / name, name)
        export_encoder(source, tmp_path / f"{name}-out", pooling=Pooling.MEAN, max_tokens=12)
        assert len(traced) == count


def test_lower_casing_is_kept(tmp_path):
    (tmp_path / "source").mkdir()
    source = write_source(tmp_path / "source")
    (source / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    export_encoder(source, tmp_path / "out", pooling=Pooling.MEAN, max_tokens=7)
    kept = json.loads((tmp_path / "out/sentence_bert_config.json").read_text())
    assert kept == {"max_seq_length": 7, "do_lower_case": True}


def test_exporting_leaves_the_torch_settings_as_they_were(tmp_path):
    source = write_trained(tmp_path / "roberta", "roberta")
    before = torch.is_grad_enabled()
    export_encoder(source, tmp_path / "out", pooling=Pooling.MEAN, max_tokens=12)
    assert torch.is_grad_enabled() == before


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_an_encoder_of_other_weights_is_no_proof(tmp_path, name):
    source = write_trained(tmp_path / name, name)
    export_encoder(source, tmp_path / "out", pooling=Pooling.MEAN, max_tokens=12)
    model = transformers.AutoModel.from_pretrained(source)
    with torch.no_grad():
        next(model.parameters()).mul_(1.01)
    model.save_pretrained(source)
    with pytest.raises(ArtefactInvalidError, match="differs from the trained one by"):
        prove(source, tmp_path / "out", TEXTS)
    assert prove(source, tmp_path / "out", TEXTS, tolerance=0.5) > 1e-4


def test_an_encoder_of_another_pooling_is_no_proof(tmp_path, monkeypatch):
    source = write_trained(tmp_path / "bert", "bert")
    export_encoder(source, tmp_path / "out", pooling=Pooling.MEAN, max_tokens=12)
    real = export._unit_vectors
    monkeypatch.setattr(
        export, "_unit_vectors", lambda encoder, _, *rest: real(encoder, Pooling.CLS, *rest)
    )
    with pytest.raises(ArtefactInvalidError):
        prove(source, tmp_path / "out", TEXTS)


def test_no_texts_prove_nothing_and_differ_by_nothing(tmp_path):
    source = write_trained(tmp_path / "bert", "bert")
    export_encoder(source, tmp_path / "out", pooling=Pooling.MEAN, max_tokens=12)
    assert prove(source, tmp_path / "out", []) == 0


def test_what_can_not_be_exported_is_refused(tmp_path):
    with pytest.raises(EncoderNotFoundError):
        export_encoder(tmp_path, tmp_path / "out", pooling=Pooling.MEAN, max_tokens=12)
    source = write_trained(tmp_path / "roberta", "roberta")
    (source / "model.safetensors").write_bytes(b"")
    with pytest.raises(EncoderInvalidError, match="can't be loaded"):
        export_encoder(source, tmp_path / "out", pooling=Pooling.MEAN, max_tokens=12)


def test_a_tracer_that_fails_is_told_in_a_sentence(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("unsupported operator")

    source = write_trained(tmp_path / "mpnet", "mpnet")
    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(EncoderInvalidError, match="torch can't export"):
        export_encoder(source, tmp_path / "out", pooling=Pooling.MEAN, max_tokens=12)
