import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DebertaV2Config, DebertaV2Model
from typer.testing import CliRunner

from encoders import (
    ArtefactInvalidError,
    EncoderInvalidError,
    EncoderNotFoundError,
    PairRanker,
    Provider,
)
from encoders.training.export_pairwise import PairRM, export_pairwise, load_pairrm, prove_pairwise
from server.cli import app
from tests.unit.encoding.tiny_ranker import FIRST, SECOND, SOURCE, ranker_tokenizer

ANSWERS = ["the cat sat", "", "a b c d e f g h i j " * 6, "dog"]


def deberta(**changes):
    """A DeBERTa-v3 in all but its size."""
    sizes = {
        "vocab_size": SECOND + 2,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 64,
        "position_buckets": 8,
        "relative_attention": True,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    }
    return DebertaV2Config(**sizes | changes)


def write_pairrm(directory, tasks=2, **changes):
    directory.mkdir(exist_ok=True)
    torch.manual_seed(0)
    config = deberta()
    model = PairRM(config, tasks, (SOURCE, FIRST, SECOND))
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.4)
    save_file(model.state_dict(), directory / "model.safetensors")
    own = {
        "n_tasks": tasks,
        "drop_out": 0.05,
        "source_prefix_id": SOURCE,
        "cand1_prefix_id": FIRST,
        "cand2_prefix_id": SECOND,
    }
    (directory / "config.json").write_text(json.dumps(config.to_dict() | own | changes))
    ranker_tokenizer().save(str(directory / "tokenizer.json"))
    return directory


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_pairrm(tmp_path_factory.mktemp("pairrm"))


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("ranker") / "new"
    export_pairwise(source, out, max_source_tokens=30, max_candidate_tokens=20)
    return out


def original_logit(source, ids):
    """PairRM as its authors wrote it: states found by where the tokens are, a head per answer."""
    weights = load_file(source / "model.safetensors")
    encoder = DebertaV2Model(deberta()).eval()
    prefix = "pretrained_model."
    encoder.load_state_dict(
        {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
    )
    with torch.inference_mode():
        states = encoder(torch.from_numpy(ids)[None]).last_hidden_state[0]
    at = {token: states[int((ids == token).argmax())] for token in (SOURCE, FIRST, SECOND)}

    def head(answer):
        both = torch.cat([at[SOURCE], at[answer]])
        inner = torch.tanh(weights["head_layer.1.weight"] @ both + weights["head_layer.1.bias"])
        return weights["head_layer.4.weight"] @ inner + weights["head_layer.4.bias"]

    return float((head(FIRST) - head(SECOND)).mean())


def test_the_exported_ranker_gives_the_logits_of_the_original(source, exported):
    ranker = PairRanker.load(exported, provider=Provider.CPU, threads=1)
    found = ranker.logits("the dog ?", ANSWERS)
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    for pair, ids in zip(pairs, ranker.tokeniser.pairs("the dog ?", ANSWERS, pairs), strict=True):
        assert found[pair] == pytest.approx(original_logit(source, ids), abs=1e-3)
    assert np.abs(found).max() > 0.1


def test_the_proof_finds_what_differs(source, exported, tmp_path):
    assert prove_pairwise(source, exported, "the dog", ANSWERS) < 1e-3
    other = write_pairrm(tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    weights["head_layer.4.weight"] = weights["head_layer.4.weight"] * 1.1
    save_file(weights, other / "model.safetensors")
    with pytest.raises(ArtefactInvalidError, match="differs from the trained one"):
        prove_pairwise(other, exported, "the dog", ANSWERS)


def test_old_buffers_of_positions_are_left_out(source, tmp_path):
    old = write_pairrm(tmp_path / "old")
    weights = load_file(old / "model.safetensors")
    weights["pretrained_model.embeddings.position_ids"] = torch.arange(4)[None]
    save_file(weights, old / "model.safetensors")
    ours, theirs = load_pairrm(source).state_dict(), load_pairrm(old).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_is_no_pairrm_is_refused(tmp_path):
    made = write_pairrm(tmp_path / "made", cand1_prefix_id=SOURCE)
    with pytest.raises(EncoderInvalidError, match="not those of its tokenizer"):
        load_pairrm(made)
    made = write_pairrm(tmp_path / "made", source_prefix_id=None)
    with pytest.raises(EncoderInvalidError, match="not those of its tokenizer"):
        load_pairrm(made)
    made = write_pairrm(tmp_path / "made", n_tasks=3)
    with pytest.raises(EncoderInvalidError, match="can't be loaded as a PairRM"):
        load_pairrm(made)
    (made / "tokenizer.json").write_text("{")
    with pytest.raises(EncoderInvalidError, match="can't be loaded as a PairRM"):
        load_pairrm(made)
    (made / "tokenizer.json").unlink()
    with pytest.raises(EncoderNotFoundError, match=r"tokenizer.json is missing"):
        load_pairrm(made)


def test_the_command_exports_and_says_how_near(source, tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["export-ranker", str(source), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "differ from the original's by" in result.stdout
    template = json.loads((out / "pairwise.json").read_text())
    assert (template["max_source_tokens"], template["max_candidate_tokens"]) == (1224, 412)
    assert PairRanker.load(out, provider=Provider.CPU).compare("the", ["cat", "dog"]).shape == (
        2,
        2,
    )


def test_the_command_refuses_in_one_sentence(source, tmp_path):
    runner = CliRunner()
    same = runner.invoke(app, ["export-ranker", str(source), "--out", str(source)])
    assert same.exit_code == 2
    (tmp_path / "empty").mkdir()
    none = runner.invoke(
        app, ["export-ranker", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]
    )
    assert (none.exit_code, "is missing" in none.stderr) == (1, True)
