"""How fast the embedded encoder is: int8 against fp32, both against torch, and its tokeniser.

    python -m benchmarks.speed.encoder [--quick]

Texts are of 6 to 250 tokens, most of them short. int8 against fp32 is `encode_tokens` on all of
them, with one thread and with two. The reference in torch is what sentence-transformers runs:
transformers' model with the same weights, mean pooling, unit norm; tokenising counts on both
sides. At batch 1 every text of the mix is a call; at batch 32 one call has 32 texts of 30 words, so
that neither side pads. Without torch and transformers those figures are left out.
"""

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort, in_turn
from encoders import Precision, Provider, SentenceEncoder, embedded_encoder
from encoders.embedded import embedded_source
from evaluation.speed import Figure, Target

_VOCABULARY = (
    "the a model answer question river city of to in and is was which how write explain list "
    "history energy water price train code python number sum between first new large small"
)
_SIZES = (4, 8, 10, 12, 16, 20, 24, 28, 30, 30, 32, 40, 48, 60, 120, 248)
_THREADS = (1, 2)
_TORCH = "torch (transformers, mean pooling)"


def measure(effort: Effort) -> list[Figure]:
    """Measures the embedded encoder in both precisions."""
    texts = _texts(_SIZES)
    figures = []
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        for threads in _THREADS[:1] if effort.quick else _THREADS:
            fp32 = _load(Path(name), Precision.FP32, threads)
            int8 = _load(Path(name), Precision.INT8_DYNAMIC, threads)
            figures += _precisions(effort, texts, fp32, int8, threads)
            if threads == 1:
                figures += _tokenising(effort, texts, fp32)
            if importlib.util.find_spec("torch") and importlib.util.find_spec("transformers"):
                figures += _torch_figures(effort, texts, {"fp32": fp32, "int8": int8}, threads)
    return figures


def _texts(sizes: Sequence[int]) -> list[str]:
    words, rng = _VOCABULARY.split(), np.random.default_rng(5)
    return [" ".join(rng.choice(words, size)) for size in sizes]


def _load(cache: Path, precision: Precision, threads: int) -> SentenceEncoder:
    directory = embedded_encoder(cache, precision)
    return SentenceEncoder.load(directory, provider=Provider.CPU, threads=threads)


def _precisions(
    effort: Effort, texts: list[str], fp32: SentenceEncoder, int8: SentenceEncoder, threads: int
) -> list[Figure]:
    tokens = fp32.tokenise(texts)
    ours, reference = in_turn(
        lambda: int8.encode_tokens(tokens),
        lambda: fp32.encode_tokens(tokens),
        repeats=effort.repeats(9),
    )
    return [
        Figure.paired(
            f"encoder/int8-threads-{threads}/fp32",
            f"int8, {len(texts)} texts of mixed lengths, {_of(threads)}",
            "texts/s", _rates(len(texts), ours), "fp32", _rates(len(texts), reference),
            target=Target("at least", 2),
        )
    ]  # fmt: skip


def _tokenising(effort: Effort, texts: list[str], encoder: SentenceEncoder) -> list[Figure]:
    tokens = encoder.tokenise(texts)
    ours, reference = in_turn(
        lambda: encoder.tokenise(texts),
        lambda: encoder.encode_tokens(tokens),
        repeats=effort.repeats(5),
    )
    return [
        Figure.paired(
            "encoder/tokenise/fp32", "tokenising the same texts", "ms",
            1e3 * np.array(ours), "encoding them in fp32", 1e3 * np.array(reference),
        )
    ]  # fmt: skip


def _torch_figures(
    effort: Effort, texts: list[str], encoders: dict[str, SentenceEncoder], threads: int
) -> list[Figure]:
    theirs = _torch_encoder(threads)
    figures = []
    for batch, target in ((1, 2.0), (32, 1.5)):
        groups = [[text] for text in texts] if batch == 1 else [_texts([30] * batch)]
        count = batch * len(groups)
        for name, encoder in encoders.items():
            times = in_turn(
                _over(groups, encoder.encode), _over(groups, theirs), repeats=effort.repeats(5)
            )
            figures.append(
                Figure.paired(
                    f"encoder/{name}-batch-{batch}-threads-{threads}/torch",
                    f"{name}, batches of {batch}, {_of(threads)}",
                    "texts/s", _rates(count, times[0]), _TORCH, _rates(count, times[1]),
                    target=Target("at least", target),
                )
            )  # fmt: skip
    return figures


def _torch_encoder(threads: int) -> Callable[[Sequence[str]], object]:
    """What encodes texts by torch, (n, d) with unit norm."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(threads)
    source = embedded_source()
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModel.from_pretrained(source).eval()

    def encode(texts: Sequence[str]) -> object:
        with torch.inference_mode():
            read = tokenizer(
                list(texts), padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            states = model(**read).last_hidden_state
            weights = read["attention_mask"].unsqueeze(-1).to(states.dtype)
            means = (states * weights).sum(1) / weights.sum(1)
            return torch.nn.functional.normalize(means, dim=1).numpy()

    return encode


def _over(
    groups: list[list[str]], encode: Callable[[Sequence[str]], object]
) -> Callable[[], object]:
    return lambda: [encode(group) for group in groups]


def _rates(texts: int, seconds: Sequence[float]) -> list[float]:
    return [texts / each for each in seconds]


def _of(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


if __name__ == "__main__":
    run_alone(measure)
