import numpy as np
import pytest

from encoders import Encoded
from evaluation import offline
from evaluation.generations import Ensemble, Generation
from evaluation.method import Embedding, Estimator, Formula, Method
from evaluation.offline import score_ensembles
from evaluation.texts import EncodedTexts
from scoring.dataset import fit_global, fit_local, nearest_prompts
from tests.bag_of_words import BagOfWords

WORDS = ["tea", "rain", "iron", "moon", "salt", "harp", "reed", "coal", "wren", "flax"]


def answer(generator, topic, stray):
    """Says what the topic is, with some stray words."""
    return " ".join([*topic, *generator.choice(WORDS, stray)])


def dense(prompts=12, strays=(1, 2, 3, 6), seed=5):
    """Prompts on two topics, answered by voters that stray more and more."""
    generator = np.random.default_rng(seed)
    ensembles = []
    for index in range(prompts):
        topic = ["north", "wind"] if index % 2 else ["deep", "lake"]
        answers = [
            Generation(f"v{voter}", answer(generator, topic, stray))
            for voter, stray in enumerate(strays)
        ]
        ensembles.append(Ensemble(f"{' '.join(topic)} question {index}", tuple(answers)))
    return ensembles


def without(ensembles, prompt, voter):
    """Takes one voter's answers to one prompt away."""
    kept = tuple(each for each in ensembles[prompt].generations if each.voter != voter)
    return [
        Ensemble(each.prompt, kept) if index == prompt else each
        for index, each in enumerate(ensembles)
    ]


def embeddings(ensembles):
    encoder = BagOfWords()
    return np.stack([encoder.encode([g.text for g in e.generations]).vectors for e in ensembles])


def noise_of(scoring):
    return np.stack([each.estimate.noise_variance for each in scoring.ensembles])


def choices(scoring):
    return [each.ranking.best_index for each in scoring.ensembles]


def test_global_is_the_fit_of_the_data_set():
    ensembles = dense()
    scoring = score_ensembles(ensembles, BagOfWords(), Method(Estimator.GLOBAL))
    fit = fit_global(embeddings(ensembles))
    np.testing.assert_allclose(noise_of(scoring), np.tile(fit.noise_variance, (12, 1)), rtol=1e-5)
    assert choices(scoring) == [fit.order[0]] * 12
    assert {each.estimate.neighbours_used for each in scoring.ensembles} == {12}


@pytest.mark.parametrize("neighbours", [1, 4, 12])
def test_local_is_the_fit_of_the_neighbours(neighbours):
    ensembles = dense()
    method = Method(Estimator.LOCAL, neighbours)
    scoring = score_ensembles(ensembles, BagOfWords(), method)
    prompts = BagOfWords().encode([each.prompt for each in ensembles]).vectors
    fit = fit_local(embeddings(ensembles), nearest_prompts(prompts, neighbours))
    np.testing.assert_allclose(noise_of(scoring), fit.noise_variance, rtol=1e-4, atol=1e-6)
    assert choices(scoring) == fit.order[:, 0].tolist()


def test_more_neighbours_than_prompts_are_all_prompts():
    ensembles = dense(prompts=3)
    scoring = score_ensembles(ensembles, BagOfWords(), Method(Estimator.LOCAL, 20))
    assert {each.estimate.neighbours_used for each in scoring.ensembles} == {3}


def test_single_is_local_with_itself_alone():
    ensembles = dense()
    single = score_ensembles(ensembles, BagOfWords(), Method(Estimator.SINGLE))
    local = score_ensembles(ensembles, BagOfWords(), Method(Estimator.LOCAL, 1))
    np.testing.assert_allclose(noise_of(single), noise_of(local))
    assert single.ensembles[0].estimator is Estimator.SINGLE


def test_a_prompt_alone_is_global_too():
    ensembles = dense(prompts=1)
    scoring = score_ensembles(ensembles, BagOfWords())
    fit = fit_global(embeddings(ensembles))
    np.testing.assert_allclose(noise_of(scoring)[0], fit.noise_variance, rtol=1e-4)


def test_a_missing_voter_is_estimated_from_the_pairs_that_exist():
    ensembles = without(dense(), 3, "v1")
    scoring = score_ensembles(ensembles, BagOfWords())
    missing = scoring.ensembles[3].estimate
    present = np.ones((12, 4), np.bool_)
    present[3, 1] = False
    fit = fit_global(embeddings(dense()), present)
    assert missing.voters == ("v0", "v2", "v3")
    np.testing.assert_allclose(missing.noise_variance, fit.noise_variance[[0, 2, 3]], rtol=1e-4)
    np.testing.assert_allclose(
        scoring.ensembles[0].estimate.noise_variance, fit.noise_variance, rtol=1e-4
    )


def test_voters_keep_their_noise_whatever_order_they_come_in():
    ensembles = dense()
    turned = [Ensemble(e.prompt, e.generations[:: (-1) ** i]) for i, e in enumerate(ensembles)]
    for method in (Method(Estimator.GLOBAL), Method(Estimator.LOCAL, 4)):
        plain = score_ensembles(ensembles, BagOfWords(), method)
        mixed = score_ensembles(turned, BagOfWords(), method)
        for one, other in zip(plain.ensembles, mixed.ensembles, strict=True):
            noise = dict(zip(other.estimate.voters, other.estimate.noise_variance, strict=True))
            expected = [noise[voter] for voter in one.estimate.voters]
            np.testing.assert_allclose(one.estimate.noise_variance, expected, rtol=1e-4, atol=1e-7)


def test_samples_say_which_estimator_ran():
    once = dense(prompts=1)[0]
    again = Generation("v0", "deep lake once more")
    twice = Ensemble("twice", (*once.generations, again))
    scoring = score_ensembles([once, twice], BagOfWords(), Method(Estimator.SAMPLES))
    assert [each.estimator for each in scoring.ensembles] == [Estimator.SINGLE, Estimator.SAMPLES]
    assert scoring.ensembles[1].answers.samples_per_voter.tolist() == [2, 1, 1, 1]
    assert len(scoring.ensembles[1].ranking.rank) == 5


def test_two_voters_are_ranked_with_noise_undefined():
    ensembles = dense(strays=(1, 3))
    scoring = score_ensembles(ensembles, BagOfWords())
    assert np.isnan(noise_of(scoring)).all()
    assert sorted(scoring.ensembles[0].ranking.rank) == [1, 2]


def test_the_reference_formula_takes_the_largest_of_its_own_weights():
    ensembles = dense(prompts=40, strays=(0, 0, 3, 6))
    method = Method(Estimator.SINGLE, formula=Formula.REFERENCE)
    for each in score_ensembles(ensembles, BagOfWords(), method).ensembles:
        chosen = each.answers.voter_of[each.ranking.best_index]
        assert chosen == np.argmax(each.estimate.weight)
        assert np.isnan(each.estimate.margin)


class Ruler:
    """Encodes a number as its place on a line."""

    dimension = 1

    def encode(self, texts):
        places = np.array([[float(text)] for text in texts], np.float32)
        return Encoded(places, np.zeros(len(texts), np.bool_))


def test_the_reference_formula_ranks_the_voter_of_negative_noise_last():
    places = {"amid": "0", "left": "-1", "left too": "-1.0", "right": "1"}
    answers = tuple(Generation(voter, text) for voter, text in places.items())
    ensembles = [Ensemble("p", answers)]
    ours = score_ensembles(ensembles, Ruler(), Method(Estimator.SINGLE))
    method = Method(Estimator.SINGLE, formula=Formula.REFERENCE)
    theirs = score_ensembles(ensembles, Ruler(), method)
    np.testing.assert_allclose(noise_of(ours)[0], [-1 / 3, 2 / 3, 2 / 3, 8 / 3], rtol=1e-6)
    assert choices(ours) == [0]
    assert theirs.ensembles[0].ranking.rank.tolist() == [4, 1, 2, 3]


def test_the_reference_formula_takes_a_voter_without_noise():
    """Its weight is infinite over infinite, which `argmax` takes for the largest."""
    places = tuple(
        Generation(voter, text) for voter, text in {"a": "0", "b": "1", "c": "3"}.items()
    )
    method = Method(Estimator.SINGLE)
    (scored,) = score_ensembles([Ensemble("p", places)], Ruler(), method).ensembles
    noiseless = scored.estimate._replace(noise_variance=np.array([1.0, 2.0, 0.0]))
    estimate = offline._by_reference(noiseless)
    np.testing.assert_array_equal(estimate.weight, [0, 0, np.nan])
    assert estimate.order.tolist() == [2, 0, 1]


def test_each_distinct_text_is_encoded_once():
    ensembles = dense()
    encoder = BagOfWords()
    scoring = score_ensembles([*ensembles, *ensembles], encoder, Method(Estimator.LOCAL))
    assert len(encoder.calls) == len(set(encoder.calls)) == scoring.texts


def test_prompts_are_encoded_only_where_neighbours_are_sought():
    ensembles = dense()
    encoder = BagOfWords()
    score_ensembles(ensembles, encoder, Method(Estimator.GLOBAL))
    assert not any("question" in text for text in encoder.calls)


def test_prompt_and_answer_are_one_text():
    ensembles = dense(prompts=1)
    encoder = BagOfWords()
    score_ensembles(ensembles, encoder, Method(embedding=Embedding.PROMPT_AND_GENERATION))
    prompt, text = ensembles[0].prompt, ensembles[0].generations[0].text
    assert encoder.calls[0] == f"{prompt}\n{text}"


def test_truncated_texts_are_counted():
    ensembles = dense(prompts=1, strays=(1, 2, 6))
    assert score_ensembles(ensembles, BagOfWords(reads=4)).truncated == 1


def test_progress_ends_with_all_texts():
    told = []
    texts = [f"text {index}" for index in range(300)]
    encoded = EncodedTexts(texts, BagOfWords(), lambda done, total: told.append((done, total)))
    assert told[-1] == (300, 300)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    expected = BagOfWords().encode(["text 7"]).vectors
    np.testing.assert_array_equal(encoded.of(["text 7"]), expected)


def test_no_prompts_are_no_work():
    assert score_ensembles([], BagOfWords()).ensembles == ()
