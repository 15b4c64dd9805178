"""The assembled ONNX model against a float64 NumPy twin of BERT."""

import math

import numpy as np
import pytest

from encoders import Provider, SentenceEncoder
from encoders.assembly import assemble_bert
from tests.unit.encoding.tiny_bert import CONFIG, VOCABULARY, tiny_weights, write_source

erf = np.vectorize(math.erf)


def layer_norm(values, weights, name):
    centred = values - values.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + CONFIG["layer_norm_eps"])
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def dense(values, weights, name):
    return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def attention(state, weights, name, heads):
    def split(part):
        return dense(state, weights, f"{name}.{part}").reshape(len(state), heads, -1).swapaxes(0, 1)

    query, key, value = split("query"), split("key"), split("value")
    scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return (shares @ value).swapaxes(0, 1).reshape(len(state), -1)


def bert(ids, weights, config):
    """last_hidden_state (t, hidden) of one text (t,), after Devlin et al. (2019)."""
    state = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    state = layer_norm(state, weights, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        mixed = attention(state, weights, f"{name}.attention.self", config["num_attention_heads"])
        mixed = dense(mixed, weights, f"{name}.attention.output.dense")
        state = layer_norm(mixed + state, weights, f"{name}.attention.output.LayerNorm")
        wide = dense(state, weights, f"{name}.intermediate.dense")
        narrow = dense(wide * (1 + erf(wide / math.sqrt(2))) / 2, weights, f"{name}.output.dense")
        state = layer_norm(narrow + state, weights, f"{name}.output.LayerNorm")
    return state


CONFIGS = [
    CONFIG,
    CONFIG | {"num_hidden_layers": 1, "num_attention_heads": 8, "type_vocab_size": 1},
    CONFIG | {"num_hidden_layers": 3, "num_attention_heads": 1, "intermediate_size": 5},
]


@pytest.fixture(params=range(len(CONFIGS)))
def twin(request, tmp_path):
    config = CONFIGS[request.param]
    weights = tiny_weights(config, seed=request.param)
    write_source(tmp_path, config=config, weights=weights)
    assemble_bert(tmp_path, tmp_path / "model.onnx")
    encoder = SentenceEncoder.load(tmp_path, provider=Provider.CPU, threads=1, max_tokens=16)
    wide = {name: array.astype(np.float64) for name, array in weights.items()}
    return encoder, lambda ids: bert(ids, wide, config)


@pytest.fixture
def rows():
    random = np.random.default_rng(5)
    return [random.integers(0, len(VOCABULARY), size=length) for length in (1, 2, 3, 7, 16)]


def test_one_text_alone(twin, rows):
    encoder, forward = twin
    for ids in rows:
        found = encoder.network.run(ids[None], np.ones((1, len(ids)), dtype=np.int64))
        np.testing.assert_allclose(found[0], forward(ids), rtol=1e-4, atol=1e-5)


def test_padding_on_the_right_changes_nothing(twin, rows):
    encoder, forward = twin
    ids = np.full((len(rows), 16), 7, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, values in enumerate(rows):
        ids[row, : len(values)], mask[row, : len(values)] = values, 1
    found = encoder.network.run(ids, mask)
    for row, values in enumerate(rows):
        np.testing.assert_allclose(found[row, : len(values)], forward(values), rtol=1e-4, atol=1e-5)
        alone = encoder.network.run(values[None], np.ones((1, len(values)), dtype=np.int64))
        np.testing.assert_allclose(found[row, : len(values)], alone[0], atol=2e-6)


def test_a_hole_in_the_mask_is_not_seen(twin, rows):
    encoder, _ = twin
    ids = np.stack([rows[4], rows[4]])
    ids[1, 5] = (ids[0, 5] + 1) % len(VOCABULARY)
    mask = np.ones_like(ids)
    mask[:, 5] = 0
    first, second = encoder.network.run(ids, mask)
    kept = np.arange(16) != 5
    np.testing.assert_allclose(first[kept], second[kept], atol=1e-6)


def test_sentence_vectors(twin):
    encoder, forward = twin
    texts = ["the cat sat", "", "a b c d e f g h i j a b c d", "你好!", "dogs"]
    found = encoder.encode(texts).vectors
    for vector, tokens in zip(found, encoder.tokenise(texts), strict=True):
        mean = forward(tokens.ids).mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), rtol=1e-4, atol=1e-5)
