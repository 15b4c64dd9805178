import dataclasses
import json

import pytest

from encoders.pooling import Pooling
from encoders.training.errors import TrainingError
from encoders.training.hyperparameters import Hyperparameters, Method, Precision, Schedule
from encoders.training.optimisation import learning_rate_share
from encoders.training.precision import mixed_precision


def test_words_become_choices():
    made = Hyperparameters.of_method(Method.ROUTERDC, pooling="cls", schedule="cosine")
    assert (made.pooling, made.schedule) == (Pooling.CLS, Schedule.COSINE)
    assert json.loads(json.dumps(made.to_dict()))["pooling"] == "cls"


def test_only_routerdc_begins_with_the_sample_sample_loss():
    weights = {method: Hyperparameters.of_method(method).sample_weight for method in Method}
    assert [method for method, weight in weights.items() if weight] == [Method.ROUTERDC]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 0}, "batch is 0; it must be at least 1"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"encoder_learning_rate": float("nan")}, "encoder_learning_rate is nan"),
        ({"steps": float("inf")}, "steps is inf"),
        ({"patience": 0}, "patience is 0"),
        ({"pooling": "model"}, "only mean or cls"),
        ({"schedule": "sudden"}, "'sudden' is not a valid Schedule"),
        ({"warm_up": 1.5}, "warm_up is 1.5"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"seed": 2**32}, "seed is 4294967296; it must be at most 4294967295"),
    ],
)
def test_a_value_out_of_range_is_named(changes, message):
    with pytest.raises(TrainingError, match=message):
        Hyperparameters.of_method(Method.ROUTERDC, **changes)


@pytest.mark.parametrize(
    ("schedule", "middle", "end"), [("constant", 1, 1), ("linear", 0.5, 0), ("cosine", 0.5, 0)]
)
def test_learning_rates_rise_and_then_decay(schedule, middle, end):
    parameters = Hyperparameters.of_method(
        Method.ROUTERDC, steps=110, warm_up=10 / 110, schedule=schedule
    )
    shares = [learning_rate_share(parameters, step) for step in range(111)]
    assert shares[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert shares[10] == 1
    assert shares[60] == pytest.approx(middle)
    assert shares[110] == pytest.approx(end)


def test_without_a_warm_up_the_first_step_takes_all():
    parameters = Hyperparameters.of_method(Method.ROUTERDC, steps=1, warm_up=0.0)
    assert learning_rate_share(parameters, 0) == 1


def test_precision_is_what_the_machine_has(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for amx, expected in ((True, "bf16"), (False, "no")):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda amx=amx: {"amx_bf16": amx})
        assert mixed_precision(Precision.AUTO) == expected
    assert mixed_precision(Precision.FP32) == "no"
    assert mixed_precision(Precision.BF16) == "bf16"
    with pytest.raises(TrainingError, match="needs a GPU"):
        mixed_precision(Precision.FP16)


def test_precision_on_a_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    assert mixed_precision(Precision.AUTO) == "bf16"
    assert mixed_precision(Precision.FP16) == "fp16"


def test_every_number_is_checked():
    fields = {field.name for field in dataclasses.fields(Hyperparameters)}
    from encoders.training import hyperparameters as module

    checked = {*module._LEAST, *module._POSITIVE, *module._SHARES, *module._ENUMS, "method"}
    assert fields == checked
