"""`pointsman train` with methods that are fitted to vectors, from the data to the choices."""

import importlib.util
import json
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from encoders import Artefact, Precision, Provider, SentenceEncoder, TfidfEncoder, write_artefact
from encoders.training.data import fingerprint
from scoring import fitting
from scoring.fitting import TrainingRows
from scoring.fitting.kinds import KINDS
from scoring.routers import build_router
from scoring.routers.local import WEIGHTINGS
from server.cli import app, train_features, train_methods
from server.cli.train_data import read_data
from tests.unit.artefact.tiny_router import tiny_arrays, tiny_draft, tiny_encoder

MODELS = ("ant", "bee", "cow")
WORDS = {
    "maths": ["sum", "integer", "triangle", "prime", "equation", "divide", "fraction"],
    "law": ["court", "statute", "judge", "contract", "treaty", "appeal", "clause"],
    "biology": ["cell", "enzyme", "protein", "species", "gene", "leaf", "membrane"],
}
SMALL = {
    "labelled-knn": ["--neighbours", "7", "--weights", "similarity", "--pseudo-outcomes", "3"],
    "clusters": ["--clusters", "4", "--nearest", "2", "--temperature", "0.1"],
    "logistic": ["--regularisation", "1"],
    "separate-logistic": ["--regularisation", "1"],
    "network": ["--hidden", "4", "--weight-decay", "0.1"],
    "separate-networks": ["--hidden", "4", "--weight-decay", "0.1"],
    "shrinkage": ["--neighbours", "9", "--weights", "adaptive", "--bandwidth", "0.7"],
    "best-single": [],
    "fixed": ["--model", "bee"],
    "random": [],
}


def rows(count=90, seed=0, *, scale=1.0):
    """Each task has one model that is mostly right, and two that mostly are not."""
    random = np.random.default_rng(seed)
    tasks = random.choice(list(WORDS), count)
    return [
        {
            "prompt": " ".join(random.choice(WORDS[task], 6)),
            "task": task,
            "scores": {
                model: scale * float(random.random() < (0.9 if model == MODELS[place] else 0.3))
                for model in MODELS
            },
            "costs": {"ant": 1.0, "bee": 2.0},
        }
        for task in tasks
        for place in [list(WORDS).index(task)]
    ]


def spelled(row):
    """The row with a prompt that the tiny encoder reads, which knows letters, not words."""
    return {**row, "prompt": " ".join(letter for letter in row["prompt"] if letter in "abcdefghij")}


def write(path, made):
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "scores.jsonl", rows())


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(train_features, "VECTOR_CACHE", tmp_path / "vectors")
    return tmp_path / "vectors"


def run(method, data, out, *flags, features="tf-idf"):
    given = ["--data", str(data), "--out", str(out)]
    given += ["--features", features] if features else []
    return CliRunner().invoke(app, ["train", method, *given, *map(str, flags)])


def routed(router, data):
    """What `pointsman route` says of each prompt of a file."""
    result = CliRunner().invoke(app, ["route", "--router", str(router), "--data", str(data)])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def training_rows(artefact, data, positive=()):
    given = {"data": [data], "validation": None, "count_positive": positive, "strict": True}
    learnt, _ = read_data(given | {"prompt_field": "prompt", "task_field": "task"}, speak=False)
    vectors = artefact.load_encoder(Provider.CPU).encode(learnt.prompts).vectors
    return TrainingRows(vectors, learnt.scores, learnt.tasks, learnt.models), learnt


@pytest.mark.parametrize("method", SMALL)
def test_what_is_served_is_what_was_fitted(method, data, tmp_path, monkeypatch):
    other = write(tmp_path / "other.jsonl", rows(20, seed=1))
    if "network" in method:
        monkeypatch.setitem(KINDS[method].defaults, "steps", 60)
    result = run(method, data, tmp_path / "r", *SMALL[method], "--validation", other)
    assert result.exit_code == 0, result.output
    artefact = Artefact.load(tmp_path / "r")
    learnt, _ = training_rows(artefact, data)
    parameters = {
        name: value for name, value in artefact.manifest.method.items() if name != "training"
    }
    fitted = fitting.fit(method, learnt, parameters, seed=0)
    router = build_router(method, MODELS, fitted.arrays, fitted.method)
    expected = router.score(learnt.vectors).scores
    replies = routed(tmp_path / "r", data)
    for reply, scores in zip(replies, expected, strict=True):
        said = {each["model"]: each["score"] for each in reply["ranking"]}
        assert [said[model] for model in MODELS] == pytest.approx(scores.tolist(), abs=1e-6)
        assert said[reply["model"]] == max(said.values())


def test_the_manifest_says_how_it_was_learnt(data, tmp_path):
    flags = ["--count-positive", "law", "--folds", "3", "--seed", "5", "--neighbours", "5"]
    result = run("labelled-knn", data, tmp_path / "r", *flags, "--weights", "uniform")
    assert result.exit_code == 0, result.output
    artefact = Artefact.load(tmp_path / "r")
    manifest = artefact.manifest
    _, learnt = training_rows(artefact, data)
    assert (manifest.kind, artefact.models) == ("labelled-knn", MODELS)
    np.testing.assert_array_equal(artefact.costs, [1.0, 2.0, np.nan])
    assert (manifest.encoder.kind, manifest.encoder.name) == ("tf-idf", "tf-idf")
    assert manifest.data.fingerprint == fingerprint(learnt)
    assert (manifest.data.rows, manifest.validation.rows) == (90, 90)
    training = manifest.method["training"]
    assert (training["method"], training["folds"], training["seed"]) == ("labelled-knn", 3, 5)
    assert (training["targets"], training["count_positive"]) == ("counted", ["law"])
    assert {one["parameters"]["pseudo_count"] for one in training["tried"]} > {10.0}
    assert {one["parameters"]["k"] for one in training["tried"]} == {5}
    validation = manifest.validation
    assert validation.average == pytest.approx(np.mean(list(validation.accuracy.values())))
    assert validation.average > validation.best_single_average + 0.1
    assert validation.note == manifest.calibration.note == "3-fold cross-validation"
    assert manifest.calibration.nll_after < manifest.calibration.nll_before
    assert f"{validation.average:.4f}" in result.stdout
    assert "labelled-knn: k 5, weighting uniform" in result.stdout
    assert "by 3-fold cross-validation" in result.stdout
    assert "90 rows to learn from (" in result.stderr


def test_auto_takes_the_best_of_its_members_on_the_embedded_encoder(data, tmp_path, own_cache):
    flags = ["--member", "best-single", "--member", "logistic", "--folds", "2"]
    result = run("auto", data, tmp_path / "r", *flags, features=None)
    assert result.exit_code == 0, result.output
    artefact = Artefact.load(tmp_path / "r")
    assert artefact.manifest.kind == "logistic"
    assert artefact.manifest.encoder.name == "all-MiniLM-L6-v2"
    assert {one["kind"] for one in artefact.manifest.method["training"]["tried"]} == {
        "best-single",
        "logistic",
    }
    right = [
        MODELS[list(WORDS).index(row["task"])] == reply["model"]
        for row, reply in zip(rows(), routed(tmp_path / "r", data), strict=True)
    ]
    assert np.mean(right) > 0.9
    assert list(own_cache.rglob("*.vectors"))


def test_a_stack_is_made_of_its_members(data, tmp_path):
    flags = ["--member", "logistic", "--member", "clusters", "--folds", "2"]
    result = run("stack", data, tmp_path / "r", *flags)
    assert result.exit_code == 0, result.output
    artefact = Artefact.load(tmp_path / "r")
    assert artefact.manifest.kind == "stack"
    members = [each["kind"] for each in artefact.manifest.method["members"]]
    assert set(members) <= {"clusters", "logistic"}
    assert len(members) == len(artefact.arrays["weights"])
    assert f"stack of {', '.join(members)}\n" in result.stdout
    right = [
        MODELS[list(WORDS).index(row["task"])] == reply["model"]
        for row, reply in zip(rows(), routed(tmp_path / "r", data), strict=True)
    ]
    assert np.mean(right) > 0.9


def test_vectors_are_encoded_once(tmp_path, monkeypatch):
    data = write(tmp_path / "spelled.jsonl", map(spelled, rows(40)))
    tiny_encoder(tmp_path / "encoder")
    flags = ["--encoder", tmp_path / "encoder", "--folds", "2"]
    first = run("best-single", data, tmp_path / "a", *flags, features=None)
    assert first.exit_code == 0, first.output

    def never(*_):
        raise AssertionError("it was encoded again")

    monkeypatch.setattr(SentenceEncoder, "encode", never)
    second = run("best-single", data, tmp_path / "b", *flags, features="sentence")
    assert second.exit_code == 0, second.output
    arrays = [Artefact.load(tmp_path / name).arrays["scores"] for name in "ab"]
    np.testing.assert_array_equal(*arrays)


def test_a_head_is_put_on_the_encoder_of_another_router(tmp_path):
    data = write(tmp_path / "spelled.jsonl", map(spelled, rows(40)))
    draft = tiny_draft(encoder_name="tuned", precision=Precision.INT8_DYNAMIC)
    tuned = write_artefact(
        tmp_path / "tuned", draft, tiny_arrays(), tiny_encoder(tmp_path / "source")
    )
    flags = ["--encoder", tmp_path / "tuned", "--folds", "2", "--regularisation", "1"]
    result = run("logistic", data, tmp_path / "r", *flags, features=None)
    assert result.exit_code == 0, result.output
    written = Artefact.load(tmp_path / "r").manifest.encoder
    assert written == tuned.manifest.encoder
    again = run("best-single", data, tmp_path / "s", "--encoder", tmp_path / "r", features=None)
    assert again.exit_code == 0, again.output


def test_validation_files_take_the_place_of_folds(data, tmp_path):
    made = rows(30, seed=1)
    other = write(tmp_path / "other.jsonl", [*made, rows()[0]])
    result = run("logistic", data, tmp_path / "r", "--validation", other)
    assert result.exit_code == 0, result.output
    manifest = Artefact.load(tmp_path / "r").manifest
    assert manifest.validation.rows == 31
    assert manifest.validation.note == "files of --validation"
    assert manifest.method["training"]["folds"] is None
    assert manifest.data.rows == 89
    assert "rows of --data are not learnt from" in result.stderr
    assert "31 to validate on" in result.stderr


def test_targets_are_what_counts_unless_scores_are_asked_for(tmp_path):
    made = rows()
    for row in made:  # never right by much, but right where the score is above 0
        row["scores"]["ant"] = 0.01
        row["scores"]["cow"] = float(row["scores"]["cow"] > 0 and row["task"] == "biology")
    data = write(tmp_path / "d.jsonl", made)
    count = [word for task in WORDS for word in ("--count-positive", task)]
    for flags, best in (([], "ant"), (["--targets", "scores"], "bee")):
        result = run("best-single", data, tmp_path / "r", *count, *flags)
        assert result.exit_code == 0, result.output
        artefact = Artefact.load(tmp_path / "r")
        assert artefact.models[int(artefact.arrays["scores"].argmax())] == best
        assert artefact.manifest.validation.best_single_average == 1.0
        assert artefact.manifest.validation.best_single_model == "ant"
        assert f"best-single: {best}\n" in result.stdout


@pytest.mark.parametrize(
    ("method", "flags", "message"),
    [
        ("labelled-knn", ["--steps", "9"], "--steps is not an option of labelled-knn"),
        ("labelled-knn", ["--clusters", "9"], "--clusters is not an option of labelled-knn"),
        ("logistic", ["--temperature", "1"], "--temperature is not an option of logistic"),
        ("shrinkage", ["--work", "w"], "--work is not an option of shrinkage"),
        ("shrinkage", ["--keep-work"], "--keep-work is not an option of shrinkage"),
        ("auto", ["--validation-share", "0.1"], "--validation-share is not an option of auto"),
        ("best-single", ["--member", "fixed"], "--member is not an option of best-single"),
        ("routerdc", ["--neighbours", "3"], "--neighbours is not an option of routerdc"),
        ("routerdc", ["--folds", "3"], "--folds is not an option of routerdc"),
        ("zooter", ["--member", "fixed"], "--member is not an option of zooter"),
        ("fixed", [], "fixed needs --model"),
        ("fixed", ["--model", "dog"], "--model dog: the data's models are ant, bee, cow"),
        ("auto", ["--member", "oracle"], "--member oracle: auto takes in best-single,"),
        ("auto", ["--member", "fixed"], "--member fixed: auto takes in"),
        ("stack", ["--member", "stack"], "--member stack: stack takes in"),
        ("labelled-knn", ["--neighbours", "0"], "or equal to 1"),
        ("labelled-knn", ["--pseudo-outcomes", "nan"], "--pseudo-outcomes: method.pseudo_count"),
        ("clusters", ["--temperature", "0"], "--temperature: method.temperature must be"),
        ("logistic", ["--folds", "1"], "or equal to 2"),
    ],
)
def test_a_wrong_option_is_refused_by_name(method, flags, message, data, tmp_path):
    features = None if method in ("routerdc", "zooter") else "tf-idf"
    result = run(method, data, tmp_path / "r", *flags, features=features)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "r").exists()


def test_an_encoder_that_would_not_be_used_is_refused(data, tmp_path):
    result = run("logistic", data, tmp_path / "r", "--encoder", tmp_path)
    assert (result.exit_code, "--encoder is of --features sentence" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("method", "flags", "message"),
    [
        ("logistic", ["--count-positive", "chess"], "the data's tasks are"),
        ("logistic", ["--folds", "91"], "folds"),
        ("logistic", ["--out", "file/r"], "can't be written, as"),
    ],
)
def test_a_mistake_is_one_sentence(method, flags, message, data, tmp_path):
    (tmp_path / "file").touch()
    if flags[0] == "--out":
        flags = [flags[0], tmp_path / flags[1]]
    result = run(method, data, tmp_path / "r", *flags)
    assert result.exit_code == 1, result.output
    assert message in result.stderr
    assert not (tmp_path / "r").exists()


def test_scores_beyond_one_are_refused(tmp_path):
    result = run("logistic", write(tmp_path / "d", rows(scale=5)), tmp_path / "r")
    assert (result.exit_code, "from 0 to 1" in result.stderr) == (1, True)


def test_a_folder_without_an_encoder_is_refused(data, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("logistic", data, tmp_path / "r", "--encoder", tmp_path / "empty", features=None)
    assert (result.exit_code, "export the encoder to ONNX" in result.stderr) == (1, True)


def test_scikit_learn_is_all_that_is_missing(data, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sklearn" else real(name)
    )
    result = run("logistic", data, tmp_path / "r")
    assert result.exit_code == 1
    assert "training logistic needs sklearn; run pip install '.[train]'" in result.stderr
    assert "it needs no torch" in result.stderr


WITHOUT_TORCH = """
import sys

class Hidden:
    def find_spec(name, path, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "accelerate", "matplotlib"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden)
from server.cli import app
app(sys.argv[1:])
"""


def test_no_torch_is_needed_and_the_result_is_the_same(data, tmp_path):
    flags = ["--features", "tf-idf", "--folds", "2", "--regularisation", "1"]
    given = ["train", "logistic", "--data", data, "--out", tmp_path / "r", *flags]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, given)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = run("logistic", data, tmp_path / "s", *flags[2:])
    assert result.exit_code == 0, result.output
    assert Artefact.load(tmp_path / "r").revision == Artefact.load(tmp_path / "s").revision


def test_an_interruption_leaves_nothing(data, tmp_path, monkeypatch):
    def interrupted(*_given, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "choose_parameters", interrupted)
    result = run("logistic", data, tmp_path / "r")
    assert (result.exit_code, "begins anew" in result.stderr) == (130, True)
    assert not (tmp_path / "r").exists()


def test_counted_terms_can_not_be_made_smaller(data, tmp_path):
    assert run("best-single", data, tmp_path / "r").exit_code == 0
    assert isinstance(Artefact.load(tmp_path / "r").load_encoder(), TfidfEncoder)
    result = CliRunner().invoke(app, ["export", str(tmp_path / "r"), "--out", str(tmp_path / "s")])
    assert (result.exit_code, "there is nothing to make smaller" in result.stderr) == (1, True)


def test_the_command_has_every_method_and_weighting_that_is_learnt():
    assert set(get_args(train_methods.Method)) == (
        train_methods.TUNED | fitting.FITTED_KINDS | {"auto"}
    )
    assert train_methods.PARAMETERS.keys() == fitting.FITTED_KINDS | {"auto"}
    weights, _nothing = get_args(get_args(train_methods.Weights)[0])
    assert get_args(weights) == WEIGHTINGS
