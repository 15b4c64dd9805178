"""What ways to choose among answers are worth, where some judge has said how good each is.

Every way is a `Way`, the probability of choosing each voter for each prompt: random, one
model for all, the longest answer, Smoothie, learnt from labels, compared in pairs. A
`Comparison` says how they fare against each other, and how sure that is.
See `docs/evaluate-generations.md`.
"""
