"""What of the settings reaches the parts."""

import dataclasses

import pytest

from encoders import Provider, SentenceEncoder
from encoders.errors import EncoderInvalidError, ProviderUnavailableError
from scoring.memory import Durability
from server import engine
from server.errors import SettingsError, StartError
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


def test_threads_that_are_not_set_go_by_the_cores(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(engine, "cpu_limit", lambda: 8)
    monkeypatch.setattr(SentenceEncoder, "load", lambda _, **options: seen.update(options))
    engine.load_encoder(load_settings(None, {"encoder.directory": tmp_path}).encoder)
    assert seen["threads"] == 4


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


@pytest.mark.parametrize(
    ("precision", "provider"), [("fp32", "auto"), ("fp16", "cuda"), ("int8-dynamic", "cpu")]
)
def test_the_embedded_encoder_is_loaded_in_the_precision_that_was_set(
    tmp_path, monkeypatch, precision, provider
):
    seen = {}
    monkeypatch.setattr(engine, "embedded_encoder", lambda cache, made: cache / made)
    monkeypatch.setattr(
        SentenceEncoder, "load", lambda directory, **options: seen.update(options, at=directory)
    )
    flags = {"encoder.cache": tmp_path, "encoder.precision": precision}
    engine.load_encoder(load_settings(None, flags).encoder)
    assert (seen["at"], seen["provider"]) == (tmp_path / precision, Provider(provider))


@pytest.mark.parametrize(("precision", "provider"), [("fp16", "cpu"), ("int8-dynamic", "cuda")])
def test_a_precision_is_refused_where_it_cannot_be_had(tmp_path, precision, provider):
    flags = {"encoder.precision": precision}
    with pytest.raises(SettingsError, match="leave precision or directory out"):
        load_settings(None, {**flags, "encoder.directory": tmp_path})
    with pytest.raises(SettingsError, match="leave precision or provider out"):
        load_settings(None, {**flags, "encoder.provider": provider})
    other = "cuda" if provider == "cpu" else "cpu"
    loaded = load_settings(None, {**flags, "encoder.provider": other})
    assert loaded.encoder.precision == precision


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"encoder.precision": "fp16"}, r"encoder\.precision fp16 needs CUDA"),
        ({"encoder.provider": "cuda"}, r"gone \(encoder\.provider\)"),
    ],
)
def test_a_card_that_is_not_there_is_said_by_the_setting_that_asked(
    tmp_path, monkeypatch, flags, words
):
    def load(*_, **__):
        raise ProviderUnavailableError("gone", field="provider")

    monkeypatch.setattr(engine, "embedded_encoder", lambda cache, _: cache)
    monkeypatch.setattr(SentenceEncoder, "load", load)
    with pytest.raises(StartError, match=words):
        engine.load_encoder(load_settings(None, {"encoder.cache": tmp_path, **flags}).encoder)
