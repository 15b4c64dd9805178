import json

import numpy as np
import pytest
import torch
from torch import nn
from transformers import T5Config, T5Model

from encoders.errors import EncoderInvalidError, EncoderNotFoundError
from encoders.pooling import Pooling, pool
from encoders.training.encoding import tokenise
from encoders.training.errors import TrainingError
from encoders.training.network import RouterNetwork
from encoders.training.source import Source, freeze, write_encoder
from tests.unit.encoding.tiny_bert import tiny_tokenizer
from tests.unit.training.tiny_encoder import write_tiny_encoder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def test_an_encoder_comes_back_as_it_was_written(tiny, tmp_path):
    source = Source.read(tiny)
    encoder = source.load(None)
    write_encoder(source, encoder, tmp_path / "out", pooling=Pooling.CLS, max_tokens=9)
    again = Source.read(tmp_path / "out").load(None)
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert json.loads((tmp_path / "out/1_Pooling/config.json").read_text()) == {
        "word_embedding_dimension": 32,
        "pooling_mode_cls_token": True,
        "pooling_mode_mean_tokens": False,
        "pooling_mode_max_tokens": False,
    }
    sentence = json.loads((tmp_path / "out/sentence_bert_config.json").read_text())
    assert sentence == {"max_seq_length": 9, "do_lower_case": False}


def test_what_is_missing_or_damaged_is_refused(tmp_path):
    with pytest.raises(EncoderNotFoundError, match=r"config\.json is missing"):
        Source.read(tmp_path)
    broken = write_tiny_encoder(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no")
    with pytest.raises(EncoderInvalidError, match="can't be loaded"):
        Source.read(broken).load(None)
    deeper = write_tiny_encoder(tmp_path / "deeper")
    config = json.loads((deeper / "config.json").read_text()) | {"num_hidden_layers": 3}
    (deeper / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderInvalidError, match=r"lacks the weights encoder\.layer\.2"):
        Source.read(deeper).load(None)


def test_dropout_takes_the_place_of_the_encoder_s_own(tiny):
    def rates(encoder):
        return {each.p for each in encoder.modules() if isinstance(each, nn.Dropout)}

    source = Source.read(tiny)
    assert rates(source.load(None)) == {0.1}
    assert rates(source.load(0.0)) == {0.0}


def test_freezing_leaves_the_last_layers_to_learn(tiny):
    encoder = Source.read(tiny).load(None)
    freeze(encoder, 1)
    learning = {name for name, each in encoder.named_parameters() if each.requires_grad}
    assert learning == {name for name, _ in encoder.named_parameters() if ".layer.1." in name}


def test_more_layers_than_there_are_can_t_be_frozen(tiny):
    with pytest.raises(TrainingError, match="the encoder has 2 layers"):
        freeze(Source.read(tiny).load(None), 3)
    stranger = nn.Linear(2, 2)
    stranger.config = None
    with pytest.raises(TrainingError, match="can't be told apart"):
        freeze(stranger, 1)


@pytest.mark.parametrize("pooling", [Pooling.MEAN, Pooling.CLS])
def test_vectors_are_pooled_as_they_are_when_served(tiny, pooling):
    source = Source.read(tiny)
    network = RouterNetwork(source.load(None), torch.randn(3, 32), pooling).eval()
    tokens = tokenise(["a", "the cat sat", "a b c d e f g h"], source, 12)
    ids, mask = tokens.batch(np.arange(3), torch.device("cpu"))
    with torch.no_grad():
        vectors, cosines = network(ids, mask)
        states = network.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.numpy()
    expected = pool(pooling, states, mask.numpy())
    np.testing.assert_allclose(vectors.numpy(), expected, atol=1e-6)
    models = network.llm_embeddings.detach().numpy()
    lengths = np.linalg.norm(expected, axis=1)[:, None] * np.linalg.norm(models, axis=1)
    np.testing.assert_allclose(cosines.numpy(), expected @ models.T / lengths, atol=1e-6)


def test_more_tokens_than_positions_are_refused(tiny):
    with pytest.raises(TrainingError, match="only 16 positions"):
        tokenise(["a"], Source.read(tiny), 17)


def test_an_encoder_with_a_decoder_is_refused(tmp_path):
    config = T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=20)
    T5Model(config).save_pretrained(tmp_path)
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(EncoderInvalidError, match="an encoder with a decoder"):
        Source.read(tmp_path).load(None)
