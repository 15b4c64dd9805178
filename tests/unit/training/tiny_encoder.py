"""A small BERT with random weights, and a task that it can learn."""

import json

import numpy as np
import torch
from transformers import BertConfig, BertModel

from encoders.training.data import TrainingData
from tests.unit.encoding.tiny_bert import VOCABULARY, tiny_tokenizer, write_json

LETTERS = "abcdefghij"
MODELS = ("of-a", "of-b", "of-c")


def write_tiny_encoder(directory, *, seed=0, **changes):
    sizes = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 16,
        "pad_token_id": 0,
    }
    torch.manual_seed(seed)
    BertModel(BertConfig(**sizes | changes)).save_pretrained(directory)
    tiny_tokenizer().save(str(directory / "tokenizer.json"))
    write_json(directory / "sentence_bert_config.json", {"do_lower_case": False})
    return directory


def toy_data(rows=96, seed=0):
    """The first letter says which of three models is right; the task has no part in it."""
    random = np.random.default_rng(seed)
    right = random.integers(0, len(MODELS), rows)
    prompts = []
    for index, model in enumerate(right):
        others = random.choice(list(LETTERS[3:]), 1 + index % 7)
        prompts.append(" ".join([LETTERS[model], *others]))
    scores = np.zeros((rows, len(MODELS)))
    scores[np.arange(rows), right] = 1.0
    tasks = tuple("even" if index % 2 == 0 else "odd" for index in range(rows))
    return TrainingData(tuple(prompts), scores, MODELS, tasks)


def write_jsonl(path, data):
    lines = [
        json.dumps(
            {"prompt": prompt, "task": task, "scores": dict(zip(data.models, row, strict=True))}
        )
        for prompt, task, row in zip(data.prompts, data.tasks, data.scores.tolist(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
