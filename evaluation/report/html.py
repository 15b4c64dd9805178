"""A report as one page that needs nothing else: no network, no script, no font."""

from importlib.resources import files
from itertools import count
from typing import TYPE_CHECKING

from evaluation.errors import MissingExtraError
from evaluation.report.plots import render_svg
from evaluation.report.values import Paragraph, Part, Plot, Report, Table
from evaluation.report.words import printable

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE = "page.html.j2"


def render_html(report: Report) -> str:
    """Renders a report as HTML 5; the same report gives the same text.

    Every text is escaped, for names of models and tasks are other people's. Plots are
    SVG within the page.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    from markupsafe import Markup

    drawn = count(1)

    def svg(plot: Plot) -> Markup:
        return Markup(render_svg(plot, salt=f"plot{next(drawn)}"))  # noqa: S704 - it is escaped

    source = files("evaluation.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    template = _environment().from_string(source)
    return template.render(report=report, kind_of=_kind_of, svg=svg) + "\n"


def _environment() -> "Environment":
    try:
        from jinja2 import Environment, StrictUndefined
    except ModuleNotFoundError:
        raise MissingExtraError("A page", "report") from None
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalised,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalised(value: object) -> object:
    """Takes out of a text what a page can't hold; what is no text has none of it."""
    return printable(value) if type(value) is str else value


def _kind_of(part: Part) -> str:
    if isinstance(part, Paragraph):
        return "paragraph"
    return "table" if isinstance(part, Table) else "plot"
