"""A scored data set as tables for a person."""

import math

from rich.console import Group
from rich.table import Table
from rich.text import Text

from evaluation.offline import ScoredEnsemble, Scoring
from evaluation.ranked import VoterSummary, summarise_voters

_SHOWN_CHOICES = 5
_SHOWN_CHARACTERS = 100


def scoring_tables(scoring: Scoring) -> Group:
    """Returns a table of the voters, one of the first choices, and what was cut short."""
    parts: list[Table | Text] = [
        voter_table(summarise_voters(scoring.ensembles)),
        choice_table(scoring.ensembles[:_SHOWN_CHOICES]),
    ]
    if scoring.truncated:
        cut = f"{scoring.truncated} of {scoring.texts} texts were longer than the encoder reads."
        parts.append(Text(cut))
    return Group(*parts)


def voter_table(summaries: tuple[VoterSummary, ...]) -> Table:
    """Returns a row per voter: the less noise, the nearer to what the others say."""
    table = Table(title="Voters", title_justify="left")
    table.add_column("Voter", overflow="fold")
    for title in ("Prompts", "Noise variance", "Mean weight", "Times best", "Share"):
        table.add_column(title, justify="right")
    for each in summaries:
        table.add_row(
            _plain(each.voter),
            str(each.prompts),
            _number(each.noise_variance),
            _number(each.weight),
            str(each.best),
            f"{each.share:.1%}",
        )
    return table


def choice_table(scored: tuple[ScoredEnsemble, ...]) -> Table:
    """Returns a row per prompt with the beginning of the answer that was chosen."""
    table = Table(title=f"The first {len(scored)} choices", title_justify="left", show_lines=True)
    for title in ("Prompt", "Best voter", "Its answer"):
        table.add_column(title, overflow="fold")
    for each in scored:
        best = each.ensemble.generations[each.ranking.best_index]
        table.add_row(_plain(each.ensemble.prompt), _plain(best.voter), _plain(best.text))
    return table


def _plain(text: str) -> Text:
    """Shortens a text and takes out what a terminal might obey."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return Text("".join(each if each.isprintable() else " " for each in shown))


def _number(number: float) -> str:
    return f"{number:.4f}" if math.isfinite(number) else "undefined"
