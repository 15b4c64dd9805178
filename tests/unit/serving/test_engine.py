"""What of the settings reaches the parts."""

import dataclasses

import pytest

from encoders import Provider, SentenceEncoder
from encoders.errors import EncoderInvalidError
from scoring.memory import Durability
from server import engine
from server.errors import StartError
from server.settings import load_settings


def test_every_setting_of_the_memory_reaches_it(tmp_path):
    given = {
        "capacity": 11,
        "time_to_live": 12.0,
        "max_pools": 13,
        "max_voters": 14,
        "queue": 15,
        "durability": "device",
    }
    flags = {f"memory.{name}": value for name, value in given.items()}
    settings = engine.memory_settings(load_settings(None, {"state": tmp_path, **flags}))
    reached = dataclasses.asdict(settings)
    assert {name: reached[name] for name in given} == {**given, "durability": Durability.DEVICE}
    assert settings.directory == tmp_path


def test_every_setting_of_the_encoder_reaches_it(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        SentenceEncoder, "load", lambda directory, **options: seen.update(options, at=directory)
    )
    flags = {"directory": tmp_path, "threads": 3, "max_tokens": 99, "provider": "cpu"}
    settings = load_settings(None, {f"encoder.{name}": value for name, value in flags.items()})
    engine.load_encoder(settings.encoder)
    assert seen == {"at": tmp_path, "threads": 3, "max_tokens": 99, "provider": Provider.CPU}


@pytest.mark.parametrize(("field", "setting"), [("", "directory"), ("max_tokens", "max_tokens")])
def test_an_encoder_that_cannot_be_loaded_is_refused_by_setting(
    tmp_path, monkeypatch, field, setting
):
    def load(*_, **__):
        raise EncoderInvalidError("It is bad", field=field)

    monkeypatch.setattr(SentenceEncoder, "load", load)
    settings = load_settings(None, {"encoder.directory": tmp_path})
    with pytest.raises(StartError, match=rf"It is bad \(encoder\.{setting}\)"):
        engine.load_encoder(settings.encoder)
