import numpy as np
import pytest

from encoders.training.errors import TrainingError
from encoders.training.groups import group_prompts
from encoders.training.hyperparameters import Hyperparameters, Method, Start
from encoders.training.network import NORMAL_DEVIATION, data_embeddings, normal_embeddings
from encoders.training.preparation import Preparation, needs_vectors, prepare


def clouds(rows=120, kinds=3, dimension=16, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(kinds, dimension)) * 4
    kind = random.integers(0, kinds, rows)
    vectors = centres[kind] + random.normal(size=(rows, dimension)) * 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), kind


def are_same_groups(left, right):
    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    return len(pairs) == len(set(left.tolist())) == len(set(right.tolist()))


@pytest.mark.parametrize("most_mapped", [1000, 40])
def test_groups_are_the_clouds_even_of_prompts_that_were_not_mapped(most_mapped):
    vectors, kind = clouds()
    groups = group_prompts(vectors, 3, 0, most_mapped)
    assert groups.shape == (120,)
    assert are_same_groups(groups, kind)


def test_groups_are_the_seed_s():
    vectors, _ = clouds(60, kinds=1)
    assert (group_prompts(vectors, 4, 1) == group_prompts(vectors, 4, 1)).all()


@pytest.mark.parametrize("rows", [1, 2, 4, 5, 9])
def test_a_handful_of_prompts_is_grouped(rows):
    vectors, _ = clouds(rows)
    assert set(group_prompts(vectors, 8, 0).tolist()) <= set(range(rows))


def test_embeddings_of_data_point_to_the_prompts_that_a_model_is_best_at():
    vectors, kind = clouds()
    scores = (kind[:, None] == np.arange(3)).astype(float)
    embeddings = data_embeddings(vectors, scores)
    assert (np.argmax(vectors @ embeddings.T, axis=1) == kind).all()
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(NORMAL_DEVIATION * 4, rel=1e-5)


def test_embeddings_of_data_are_defined_for_a_model_like_the_average():
    vectors, kind = clouds()
    scores = np.stack([kind == 0, np.full(len(kind), np.nan), kind != 0], axis=1).astype(float)
    scores[:, 1] = np.nan
    embeddings = data_embeddings(vectors, scores)
    assert np.isfinite(embeddings).all()
    assert (np.linalg.norm(embeddings, axis=1) > 0).all()


def test_normal_embeddings_have_the_authors_deviation():
    assert normal_embeddings(50, 400, 0).std() == pytest.approx(NORMAL_DEVIATION, rel=0.02)


@pytest.mark.parametrize("method", list(Method))
def test_a_warm_start_learns_on_vectors_that_stay(method):
    vectors, kind = clouds()
    scores = (kind[:, None] == np.arange(3)).astype(float)
    parameters = Hyperparameters.of_method(method, warm_start=200, sample_weight=0.0)
    prepared = prepare(parameters, vectors, scores, 16)
    assert (np.argmax(vectors @ prepared.embeddings.T, axis=1) == kind).mean() > 0.95


def test_vectors_are_only_computed_where_something_rests_on_them():
    plain = Hyperparameters.of_method(Method.ZOOTER)
    assert not needs_vectors(plain)
    assert needs_vectors(Hyperparameters.of_method(Method.ROUTERDC))
    assert needs_vectors(Hyperparameters.of_method(Method.ZOOTER, warm_start=1))
    assert needs_vectors(Hyperparameters.of_method(Method.ZOOTER, start=Start.DATA))
    prepared = prepare(plain, None, np.zeros((5, 2)), 8)
    assert prepared.groups.tolist() == [0] * 5
    assert prepared.embeddings.shape == (2, 8)


def test_a_preparation_comes_back_from_its_file(tmp_path):
    made = Preparation(np.arange(4), np.ones((2, 3), dtype=np.float32))
    made.write(tmp_path / "p.safetensors")
    read = Preparation.read(tmp_path / "p.safetensors")
    assert (read.groups == made.groups).all()
    assert (read.embeddings == made.embeddings).all()
    with pytest.raises(TrainingError, match="missing"):
        Preparation.read(tmp_path / "q.safetensors")
