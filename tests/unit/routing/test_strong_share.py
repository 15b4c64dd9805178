import math

import numpy as np
import pytest

from scoring.errors import InvalidArrayError, UnknownModelError
from scoring.policies import share_at, strong_leads, threshold_for_share

LEADS = [0.5, -0.25, 0.5, 0.0, 1.0]


@pytest.mark.parametrize(
    ("share", "threshold", "got"),
    [
        (1.0, -0.25, 1.0),
        (0.8, 0.0, 0.8),
        (0.79, 0.5, 0.6),
        (0.6, 0.5, 0.6),
        (0.5, 1.0, 0.2),  # two prompts tie at 0.5 and go together
        (0.2, 1.0, 0.2),
    ],
)
def test_the_threshold_is_a_lead(share, threshold, got):
    assert threshold_for_share(LEADS, share) == threshold
    assert share_at(LEADS, threshold) == pytest.approx(got)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_nobody_is_called_above_every_lead(share):
    threshold = threshold_for_share(LEADS, share)
    assert 1.0 < threshold < 1.0 + 1e-15
    assert share_at(LEADS, threshold) == 0.0


@pytest.mark.parametrize("place", range(1, 101))
def test_decimal_shares_are_reached_exactly(place):
    leads = np.arange(100.0)
    assert share_at(leads, threshold_for_share(leads, place / 100)) == place / 100


def test_leads_are_differences():
    scores = [[0.25, 1.0, 0.0], [math.nan, 1.0, 0.0], [0.5, 0.25, 0.0]]
    leads = strong_leads(["ant", "bee", "cat"], scores, "bee", "ant")
    np.testing.assert_array_equal(leads, [0.75, math.nan, -0.25])


@pytest.mark.parametrize(("strong", "weak", "field"), [("x", "a", "strong"), ("a", "x", "weak")])
def test_a_model_that_is_not_there_is_named(strong, weak, field):
    with pytest.raises(
        UnknownModelError, match=f"The {field} model 'x' isn't among 'a', 'b'"
    ) as error:
        strong_leads(["a", "b"], np.zeros((2, 2)), strong, weak)
    assert error.value.field == field


@pytest.mark.parametrize("scores", [np.zeros(2), np.zeros((2, 3))])
def test_scores_of_another_shape_are_refused(scores):
    with pytest.raises(InvalidArrayError, match=r"give \(prompts, 2\)"):
        strong_leads(["a", "b"], scores, "a", "b")


@pytest.mark.parametrize("leads", [[], [[1.0]], [math.nan], [1.0, math.inf]])
def test_leads_that_cannot_be_compared_are_refused(leads):
    for act in (share_at, threshold_for_share):
        with pytest.raises(InvalidArrayError, match="leads") as error:
            act(leads, 0.5)
        assert error.value.field == "leads"


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_share_is_from_0_to_1(share):
    with pytest.raises(InvalidArrayError, match="share must be a number from 0 to 1"):
        threshold_for_share(LEADS, share)
