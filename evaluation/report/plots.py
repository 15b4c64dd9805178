"""Plots as SVG for a page: text stays text, and the same plot gives the same bytes."""

import io
import warnings
from typing import TYPE_CHECKING, Any

from evaluation.errors import MissingExtraError
from evaluation.report.drawing import draw_bars, draw_lines, draw_shares
from evaluation.report.svg import clean_svg
from evaluation.report.values import IntervalBars, Lines, Plot, Shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    # A dollar in somebody's name is no formula.
    "text.parse_math": False,
    "text.color": "#1c2733",
    "axes.edgecolor": "#8895a3",
    "axes.labelcolor": "#3d4b59",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": "#3d4b59",
    "ytick.color": "#3d4b59",
    "grid.color": "#e3e8ee",
    "legend.frameon": False,
    "path.simplify": True,
}


def render_svg(plot: Plot, *, salt: str = "plot") -> str:
    """Draws a plot as an `svg` element that scales with its surroundings.

    Args:
        plot: What to draw.
        salt: Begins the names within the drawing; another for every drawing of a page.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    try:
        from matplotlib import rc_context
    except ModuleNotFoundError:
        raise MissingExtraError("A plot", "report") from None
    with rc_context(_STYLE | {"svg.hashsalt": salt}), warnings.catch_warnings():
        # The reader's own font draws what the one that measures lacks, as in 通义.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure = _figure(plot)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return clean_svg(stream.getvalue(), title=plot.title, description=plot.alt, salt=salt)


def _figure(plot: Plot) -> "Figure":
    match plot:
        case IntervalBars():
            return draw_bars(plot)
        case Lines():
            return draw_lines(plot)
        case Shares():
            return draw_shares(plot)
