"""Which setting of a kind to learn with, and which kind."""

from collections.abc import Mapping, Sequence

from scoring.errors import InvalidArrayError
from scoring.fitting.fold import Study
from scoring.fitting.grids import settings_of
from scoring.fitting.judging import Candidate, candidates_of, chosen_of, ranked
from scoring.fitting.kinds import learn, with_defaults
from scoring.fitting.separate import each_its_own
from scoring.fitting.stacked import Member, members_of, stack_of
from scoring.fitting.trials import Plan, Progress, Steps, try_settings
from scoring.fitting.values import Chosen, Fitted, TrainingRows, Tried

AUTO_KINDS: tuple[str, ...] = (
    "shrinkage",
    "labelled-knn",
    "clusters",
    "logistic",
    "best-single",
    "stack",
)
"""What `choose_router` chooses among where nothing else is said, the preferred first."""

_FOLDS = 5
_OWN = {"separate-logistic": "regularisation"}
"""Kinds that have a parameter of each model's own."""


def choose_parameters(
    kind: str,
    rows: TrainingRows,
    given: Mapping[str, object] | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    validation: TrainingRows | None = None,
    progress: Progress | None = None,
) -> Chosen:
    """Chooses the parameters that aren't given, and learns with them on all rows.

    Every combination of the values of the grid is tried: by cross-validation on folds
    dealt at random within tasks, on folds of whole clusters and on folds of whole tasks
    (`Plan`), or on validation rows where they are given. It is chosen by `Tried.trusted`.

    Args:
        kind: One of `FITTED_KINDS`.
        rows: To learn from.
        given: Parameters that aren't to be chosen. Of a stack: `members`.
        folds: 2 or more; unused where validation rows are given.
        seed: Of every draw.
        validation: Rows to choose by, of the same models.
        progress: Is told how many steps are done, and of how many.

    Raises:
        InvalidArrayError: The kind isn't learned here, a parameter is unknown or out of
            its range, or the rows don't suffice.
    """
    return _choose([(kind, given or {})], rows, folds, seed, validation, progress)


def choose_router(
    rows: TrainingRows,
    *,
    kinds: Sequence[str] = AUTO_KINDS,
    folds: int = 5,
    seed: int = 0,
    validation: TrainingRows | None = None,
    progress: Progress | None = None,
) -> Chosen:
    """Chooses among kinds, each with the parameters that suit it best.

    Of those that are behind the most trusted by less than a standard error, which is
    noise, it takes the first.

    Args:
        rows: To learn from.
        kinds: Of `FITTED_KINDS`, one or more, the preferred first.
        folds: As of `choose_parameters`, and so are the others.
        seed: Of every draw.
        validation: Rows to choose by, of the same models.
        progress: Is told how many steps are done, and of how many.

    Raises:
        InvalidArrayError: As there, or no kind is given.
    """
    if not kinds:
        raise InvalidArrayError("There is no kind to choose among; give one.", field="kinds")
    return _choose([(kind, {}) for kind in kinds], rows, folds, seed, validation, progress)


def fit(
    kind: str, rows: TrainingRows, parameters: Mapping[str, object] | None = None, *, seed: int = 0
) -> Fitted:
    """Learns a router; a parameter that isn't given has its default.

    The weights of a stack are learned from its members' held-out scores all the same.

    Args:
        kind: One of `FITTED_KINDS`.
        rows: To learn from.
        parameters: By name, as in `docs/routers.md`.
        seed: Of every draw.

    Raises:
        InvalidArrayError: The kind isn't learned here, or a parameter is unknown or out
            of its range.
    """
    given = parameters or {}
    if kind != "stack":
        return learn(kind, Study(rows, seed), with_defaults(kind, given))
    members = [(each, with_defaults(each, theirs)) for each, theirs in members_of(given)]
    plan = Plan.simple(rows, _FOLDS, seed)
    best = Contest(plan, members, None)
    return stack_of(plan, [best.of(each, theirs)[0] for each, theirs in members]).learned(
        Study(rows, seed)
    )


class Contest:
    """Kinds, each of which sends its best setting; what is asked for twice is tried once."""

    def __init__(self, plan: Plan, wanted: Sequence[Member], progress: Progress | None) -> None:
        """Takes the kinds and given parameters that will be asked for.

        Raises:
            InvalidArrayError: A kind isn't learned here, or has no such parameter.
        """
        self.plan = plan
        self._found: dict[str, tuple[Candidate, tuple[Tried, ...]]] = {}
        self._settings = {
            _name(kind, given): settings_of(kind, given) for kind, given in _single(wanted)
        }
        tried = sum(map(len, self._settings.values()))
        self._steps = Steps(tried * plan.splits, progress)

    def of(self, kind: str, given: Mapping[str, object]) -> tuple[Candidate, tuple[Tried, ...]]:
        """Returns the best setting of a kind, and how all of them did."""
        if kind == "stack":
            members = [self.of(*member) for member in members_of(given)]
            stack = stack_of(self.plan, [candidate for candidate, _ in members])
            return ranked(self.plan, [stack])
        name = _name(kind, given)
        if name not in self._found:
            trial = try_settings(self.plan, kind, self._settings[name], self._steps)
            candidates = candidates_of(trial)
            if kind in _OWN and _OWN[kind] not in given:
                own = each_its_own(self.plan, trial, _OWN[kind])
                # The rest are told of, but are another kind of router.
                self._found[name] = own, ranked(self.plan, [own, *candidates])[1]
            else:
                self._found[name] = ranked(self.plan, candidates)
        return self._found[name]


def _choose(
    wanted: Sequence[Member],
    rows: TrainingRows,
    folds: int,
    seed: int,
    validation: TrainingRows | None,
    progress: Progress | None,
) -> Chosen:
    plan = Plan.of(rows, folds, seed, validation)
    contest = Contest(plan, wanted, progress)
    found = [contest.of(*member) for member in wanted]
    if len(found) == 1:
        return chosen_of(plan, *found[0])
    candidates = [candidate for candidate, _ in found]
    _, tried = ranked(plan, candidates)
    return chosen_of(plan, _preferred(candidates, tried), tried)


def _preferred(candidates: Sequence[Candidate], tried: Sequence[Tried]) -> Candidate:
    """Returns the first candidate that is behind the most trusted by its error at most."""
    best = tried[0].trusted
    near = [each for each in tried if best - each.trusted <= each.error]
    among = [(each.kind, each.parameters) for each in near]
    return next(each for each in candidates if (each.kind, each.settings) in among)


def _single(wanted: Sequence[Member]) -> list[Member]:
    """The kinds that are tried by themselves: stacks are made of such."""
    return [
        single
        for kind, given in wanted
        for single in (members_of(given) if kind == "stack" else [(kind, given)])
    ]


def _name(kind: str, given: Mapping[str, object]) -> str:
    return f"{kind} {sorted(given.items())!r}"
