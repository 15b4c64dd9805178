"""What can go wrong in training. None of it ever reaches the wire."""


class TrainingError(Exception):
    """Training can't begin or go on.

    The message is one sentence for a person: what is wrong and what to do.
    """
