"""Whether routing beats always calling one model: `pointsman evaluate routing`.

See `docs/evaluate.md` for what every number means.
"""

from evaluation.routers.contenders import Applied, Contender, Latency
from evaluation.routers.evaluation import evaluate_routers
from evaluation.routers.headline import Headline, headline_of
from evaluation.routers.page import routing_page
from evaluation.routers.record import evaluation_record
from evaluation.routers.sheets import sheets_of
from evaluation.routers.standings import RoutingEvaluation, Standing

__all__ = [
    "Applied",
    "Contender",
    "Headline",
    "Latency",
    "RoutingEvaluation",
    "Standing",
    "evaluate_routers",
    "evaluation_record",
    "headline_of",
    "routing_page",
    "sheets_of",
]
