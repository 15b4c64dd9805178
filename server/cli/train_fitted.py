"""`pointsman train` with a method that is fitted to vectors of prompts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer
from pydantic import JsonValue
from rich.console import Console

from encoders.artefact.bundle import write_artefact
from encoders.artefact.manifest import ManifestDraft
from encoders.training.data import TrainingData, require_same_models
from encoders.training.validation import Accuracy, accuracy, best_single_model, gains
from scoring import fitting
from scoring.errors import InvalidArrayError
from scoring.fitting import Chosen, Fitted, TrainingRows
from server.cli.delivery import progress_bar
from server.cli.train_data import described, read_data
from server.cli.train_entries import (
    calibration_entry,
    data_entry,
    model_entries,
    require_place,
    validation_entry,
)
from server.cli.train_features import Features, features
from server.cli.train_methods import PARAMETERS
from server.cli.train_table import accuracy_table

_FOLDS = 5
_MOST_TRIED = 200
"""Settings that the manifest names, the best first."""


@dataclass(frozen=True, slots=True, eq=False)
class _Learnt:
    """A router, and how it does on rows that it was not fitted to.

    Attributes:
        judged: Those rows: the training rows out of fold, or those of --validation.
        how: They were held out, for people.
    """

    chosen: Chosen
    data: TrainingData
    judged: TrainingData
    how: str
    accuracy: Accuracy
    single_model: str
    single_accuracy: Accuracy


def train_fitted(given: dict[str, Any]) -> None:
    """Fits, and writes the router.

    Args:
        given: The options, by name.

    Raises:
        TrainingError: The data or the options are not fit for it.
        EncodersError: The encoder is not, or the router can't be written.
        ScoringError: The method can't be fitted to the data.
    """
    began = time.monotonic()
    _require_names(given)
    out = given["out"].resolve()
    require_place(out)
    data, judged = read_data(given, speak=True)
    if judged is not None:
        require_same_models(data, judged)
    typer.echo(described(data, judged), err=True)
    if given["model"] and given["model"] not in data.models:
        known = ", ".join(data.models)
        raise typer.BadParameter(f"--model {given['model']}: the data's models are {known}.")
    with features(given, data.prompts) as seen:
        learnt = _learn(given, data, judged, seen)
        _write(out, given, learnt, seen)
    _show(given["out"], learnt, time.monotonic() - began)


def _require_names(given: dict[str, Any]) -> None:
    """Refuses before prompts are encoded what is wrong whatever the data.

    Raises:
        typer.BadParameter: Names the option.
    """
    method = given["method"]
    if method == "fixed" and not given["model"]:
        raise typer.BadParameter("fixed needs --model, the one that is always called.")
    allowed = fitting.FITTED_KINDS - {"fixed"} - ({"stack"} if method == "stack" else set())
    for member in given["member"] or ():
        if member not in allowed:
            known = ", ".join(sorted(allowed))
            raise typer.BadParameter(f"--member {member}: {method} takes in {known}.")


def _learn(
    given: dict[str, Any], data: TrainingData, judged: TrainingData | None, seen: Features
) -> _Learnt:
    rows = _rows(given, data, seen)
    aside = None if judged is None else _rows(given, judged, seen)
    folds = given["folds"] or _FOLDS
    with progress_bar("Choosing") as progress, _refusals_by_option(given["method"]):
        chosen = _choose(given)(
            rows, folds=folds, seed=given["seed"], validation=aside, progress=progress
        )
    held_out = data if judged is None else judged
    positive = given["count_positive"] or ()
    model, alone = best_single_model(held_out, positive)
    return _Learnt(
        chosen=chosen,
        data=data,
        judged=held_out,
        how=f"{folds}-fold cross-validation" if judged is None else "files of --validation",
        accuracy=accuracy(chosen.held_out, held_out, positive),
        single_model=model,
        single_accuracy=alone,
    )


@contextmanager
def _refusals_by_option(method: str) -> Iterator[None]:
    """Makes the refusal of a parameter one of the option that it was given by.

    Raises:
        typer.BadParameter: In its place.
    """
    try:
        yield
    except InvalidArrayError as error:
        for option, name in PARAMETERS[method].items():
            if error.field == f"method.{name}":
                flag = "--" + option.replace("_", "-")
                raise typer.BadParameter(f"{flag}: {error}") from None
        raise


def _rows(given: dict[str, Any], data: TrainingData, seen: Features) -> TrainingRows:
    """What is learnt from: what counts, unless the scores themselves are asked for."""
    counted = gains(data, given["count_positive"] or ())
    qualities = data.scores if given["targets"] == "scores" else counted
    return TrainingRows(seen.of(data.prompts), qualities, data.tasks, data.models)


def _choose(given: dict[str, Any]) -> Callable[..., Chosen]:
    """What chooses the parameters, but for the rows and how they are held out."""
    method = given["method"]
    if method == "auto":
        kinds = tuple(given["member"] or fitting.AUTO_KINDS)
        return partial(fitting.choose_router, kinds=kinds)
    parameters = {
        name: given[option]
        for option, name in PARAMETERS[method].items()
        if given[option] is not None
    }
    if method == "random":
        parameters["seed"] = given["seed"]
    if method == "stack" and given["member"]:
        parameters["members"] = list(given["member"])
    return partial(fitting.choose_parameters, method, given=parameters)


def _write(out: Path, given: dict[str, Any], learnt: _Learnt, seen: Features) -> None:
    fitted, positive = learnt.chosen.fitted, given["count_positive"] or ()
    draft = ManifestDraft(
        kind=fitted.kind,
        models=model_entries(learnt.data),
        encoder_name=seen.name,
        precision=seen.precision,
        method={**fitted.method, "training": _training(given, learnt.chosen)},
        data=data_entry(learnt.data),
        validation=validation_entry(
            len(learnt.judged.prompts),
            learnt.accuracy,
            learnt.single_model,
            learnt.single_accuracy.average,
            learnt.how,
        ),
        calibration=calibration_entry(
            learnt.chosen.held_out, gains(learnt.judged, positive), learnt.how
        ),
    )
    write_artefact(out, draft, fitted.arrays, seen.directory)


def _training(given: dict[str, Any], chosen: Chosen) -> dict[str, JsonValue]:
    """How it was learnt; inference reads none of it."""
    tried: list[JsonValue] = [
        {name: None if value != value else value for name, value in asdict(each).items()}
        for each in chosen.tried[:_MOST_TRIED]
    ]
    return {
        "method": given["method"],
        "features": given["features"] or "sentence",
        "targets": given["targets"] or "counted",
        "count_positive": list(given["count_positive"] or ()),
        "folds": None if given["validation"] else given["folds"] or _FOLDS,
        "seed": given["seed"],
        "tried": tried,
    }


def _show(out: Path, learnt: _Learnt, seconds: float) -> None:
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(accuracy_table(out, learnt.accuracy, learnt.single_model, learnt.single_accuracy))
    tried = len(learnt.chosen.tried)
    console.print(_described(learnt.chosen.fitted, learnt.data.models))
    settings = "1 setting" if tried == 1 else f"the best of {tried} settings"
    console.print(f"{settings} by {learnt.how}; {seconds:.1f} seconds.")


def _described(fitted: Fitted, models: tuple[str, ...]) -> str:
    """The kind and its parameters, in a line."""
    members = fitted.method.get("members")
    if isinstance(members, list):
        kinds = ", ".join(str(each["kind"]) for each in members if isinstance(each, dict))
        return f"{fitted.kind} of {kinds}"
    if fitted.kind == "best-single":
        return f"{fitted.kind}: {models[int(fitted.arrays['scores'].argmax())]}"
    shown = ", ".join(f"{name} {value}" for name, value in fitted.method.items())
    return f"{fitted.kind}: {shown}" if shown else fitted.kind
