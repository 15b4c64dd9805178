import numpy as np

from scoring import estimate_alone, measure_answers, rank_generations


def ranking_of(voters, vectors):
    answers = measure_answers(list(voters), np.array(vectors, np.float32))
    estimate = estimate_alone(answers)
    return answers, estimate, rank_generations(answers, estimate)


def test_generations_come_by_voter_then_by_distance_to_the_others():
    vectors = [[9], [0.5], [0.6], [0.9], [-1], [1.5]]
    answers, estimate, ranking = ranking_of("abbcde", vectors)
    by_voter = [answers.voter_of[at] for at in np.argsort(ranking.rank)]
    assert list(dict.fromkeys(by_voter)) == estimate.order.tolist()
    first, second = answers.mean_squared_distance[1:3]
    assert (ranking.rank[1] < ranking.rank[2]) == (first <= second)
    assert sorted(ranking.rank.tolist()) == [1, 2, 3, 4, 5, 6]
    assert ranking.rank[ranking.best_index] == 1
    assert ranking.tied == ()


def test_the_weight_of_a_voter_is_shared_by_its_generations():
    _, estimate, ranking = ranking_of("abbc", [[9], [0.5], [0.6], [0.9]])
    assert ranking.weight[1] == ranking.weight[2] == estimate.weight[1] / 2
    assert np.isclose(ranking.weight.sum(), 1.0)


def test_tied_generations_are_the_best_of_their_voters():
    _, _, ranking = ranking_of("abbcd", [[4.0], [9.0], [1.0], [-8.0], [4.0]])
    assert ranking.tied == (0, 4)
    assert ranking.best_index == 0


def test_two_voters_with_several_samples_tie_by_their_best():
    answers, _, ranking = ranking_of("aab", [[5.0], [1.0], [0.0]])
    assert answers.mean_squared_distance[1] < answers.mean_squared_distance[0]
    assert ranking.tied == (1, 2)
    assert ranking.rank.tolist() == [2, 1, 3]


def test_a_prompt_template_whose_answers_disagree_ranks_last():
    # One model, one question, four templates; the last asks for something else.
    answers, estimate, _ = ranking_of(
        ["plain", "few-shot", "step by step", "as a pirate"],
        [[1.0, 0.0], [0.9, 0.1], [1.0, 0.1], [0.0, 1.0]],
    )
    assert answers.voters[estimate.order[-1]] == "as a pirate"
    assert estimate.weight.argmin() == 3


def test_one_voter_keeps_the_order_of_the_request():
    _, _, ranking = ranking_of("aaa", [[5.0], [1.0], [0.0]])
    assert ranking.rank.tolist() == [1, 2, 3]
    assert ranking.tied == ()
