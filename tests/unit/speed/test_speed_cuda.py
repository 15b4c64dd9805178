"""What the benchmark of a card says, without a card."""

import numpy as np
import pytest

from benchmarks.speed import cuda
from benchmarks.speed.cuda import Speed, line, operations, peak_of, provider_in, speeds
from encoders import Provider, SentenceEncoder
from encoders.assembly import assemble_bert
from encoders.bert import BertShape
from tests.unit.encoding.tiny_bert import write_source

MINILM = BertShape(384, 6, 12, 1536, 30_522, 512, 2, 1e-12)


def test_operations_are_those_of_every_matrix_product():
    length, hidden, wide, heads = 32, 384, 1536, 12
    products = [
        *[(length, hidden, hidden)] * 4,  # query, key, value, output
        (length, hidden, wide),
        (length, wide, hidden),
        *[(length, hidden // heads, length)] * heads,  # scores
        *[(length, length, hidden // heads)] * heads,  # mixtures
    ]
    expected = 6 * sum(2 * rows * inner * columns for rows, inner, columns in products)
    assert operations(MINILM, length) == expected


@pytest.mark.parametrize(
    ("card", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("Tesla T4", 65),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", None),
        ("", None),
    ],
)
def test_a_peak_goes_by_the_words_of_the_name(card, peak):
    assert peak_of(card) == peak


def test_a_share_is_of_the_peak():
    speed = Speed(length=32, batch=8, seconds=0.002, rate=1e12 / operations(MINILM, 32))
    assert line(speed, MINILM, 4.0).endswith("1.00 TFLOP/s, 25.0% of peak")
    assert line(speed, MINILM, None).endswith("TFLOP/s")
    assert "2.000 ms alone" in line(speed, MINILM, None)


def test_the_provider_is_that_of_the_line_about_the_encoder():
    log = (
        'a warning\n3\n{"event": "memory", "pools": 0}\n'
        '{"event": "encoder", "revision": "0", "provider": "CUDAExecutionProvider"}\n'
    )
    assert provider_in(log) == cuda.CUDA
    assert provider_in("a warning\n") is None


def test_every_length_is_measured_with_every_batch(tmp_path):
    directory = write_source(tmp_path)
    assemble_bert(directory, directory / "model.onnx")
    encoder = SentenceEncoder.load(directory, provider=Provider.CPU, threads=1)
    shape = BertShape.read(directory / "config.json")
    found = list(speeds(encoder, shape, 2, lengths=(3, 5), batches=(1, 4)))
    assert [(each.length, each.batch) for each in found] == [(3, 1), (3, 4), (5, 1), (5, 4)]
    assert all(each.seconds > 0 and np.isfinite(each.rate) for each in found)


def test_without_a_card_one_sentence_is_said_and_that_is_no_failure(monkeypatch, tmp_path, capsys):
    directory = write_source(tmp_path)
    assemble_bert(directory, directory / "model.onnx")
    monkeypatch.setattr(cuda, "embedded_encoder", lambda *_: directory)
    monkeypatch.setattr("sys.argv", ["cuda"])
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    cuda.main()
    assert capsys.readouterr().out.startswith("Nothing was measured: CUDA was asked for")
