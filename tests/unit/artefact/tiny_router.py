"""A router of random weights, small enough to be written in every test."""

import hashlib
import json

import numpy as np

from encoders import ManifestDraft, write_artefact
from encoders.artefact.arrays import serialise_arrays
from encoders.assembly import assemble_bert
from tests.unit.encoding.tiny_bert import tiny_weights, write_source

MODELS = ("small", "large", "tuned")
DIMENSION = 8


def tiny_encoder(directory, seed=0):
    """A directory that `SentenceEncoder.load` reads, with weights that it does not."""
    directory.mkdir(parents=True, exist_ok=True)
    write_source(directory, weights=tiny_weights(seed=seed))
    assemble_bert(directory, directory / "model.onnx")
    return directory


def tiny_draft(**changes):
    costs = (1.0, 4.5, None)
    models = tuple({"name": name, "cost": cost} for name, cost in zip(MODELS, costs, strict=True))
    values = {"kind": "routerdc", "models": models, "encoder_name": "tiny"}
    return ManifestDraft(**(values | changes))


def tiny_arrays(seed=0):
    random = np.random.default_rng(seed)
    return {"llm_embeddings": random.normal(size=(len(MODELS), DIMENSION)).astype(np.float32)}


def write_router(out, encoder, seed=0, **changes):
    return write_artefact(out, tiny_draft(**changes), tiny_arrays(seed), encoder)


def edit_manifest(router, change):
    """Rewrites manifest.json as `change` has it, a function of the parsed one."""
    path = router / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def forge(router, name, data):
    """Writes a file of a router, and its hash into the manifest."""
    (router / name).parent.mkdir(parents=True, exist_ok=True)
    (router / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit_manifest(router, lambda values: values["files"].update({name: digest}))


def forge_arrays(router, arrays):
    forge(router, "arrays.safetensors", serialise_arrays(arrays))
