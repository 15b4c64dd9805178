"""The settings of named routers, a section for each, told apart by its kind."""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from server.names import NAME_RULE, is_name
from server.sections import HomePath, NotNegative, Section

_Neighbours = Annotated[int, Field(ge=1, le=100_000)]


class AbstainingSettings(Section):
    """What every kind of router can be told."""

    abstain_below_margin: NotNegative | None = None
    """Abstains where the best score leads the next by less; never if absent."""
    fallback: str | None = Field(default=None, min_length=1, max_length=256)
    """Model that is called where the router abstains, or has nothing to score with. It need not
    be one that the router knows."""

    @model_validator(mode="after")
    def _abstains_to_a_model(self) -> Self:
        for name in ("abstain_below_margin", "abstain_below_probability"):
            if getattr(self, name, None) is not None and self.fallback is None:
                raise ValueError(f"{name} is set, but no fallback; name the model to call instead")
        return self


class ArtefactRouterSettings(AbstainingSettings):
    """A trained router: `pointsman train` writes its artefact."""

    kind: Literal["artefact"] = "artefact"
    """Kind of the router; may be left out where there is a directory."""
    directory: HomePath
    """Directory of the artefact. Required."""
    watch: bool = True
    """Loads a new artefact by itself when the directory, or where its symbolic link leads,
    changes."""
    abstain_below_probability: Annotated[float, Field(ge=0, le=1)] | None = None
    """Abstains where the best model's calibrated probability is less; never if absent."""


class PoolRouterSettings(AbstainingSettings):
    """What routers over a pool can be told."""

    pool: str = "default"
    """Pool that the router rests on."""
    neighbours: _Neighbours = 20
    """Nearest prompts that a score rests on."""
    costs: dict[str, NotNegative] = Field(default_factory=dict)
    """Cost of a call by model, for the policies that weigh it; a mapping."""

    @field_validator("pool")
    @classmethod
    def _pool_has_a_name(cls, pool: str) -> str:
        if not is_name(pool):
            raise ValueError(NAME_RULE)
        return pool


class SmoothieRouterSettings(PoolRouterSettings):
    """Routes without labels, by what ScoreGenerations has learned."""

    kind: Literal["smoothie"] = "smoothie"
    """Kind of the router. Required."""
    least_neighbours: _Neighbours = 5
    """Fewer usable neighbours, and the score rests on the whole pool."""

    @model_validator(mode="after")
    def _enough_are_recalled(self) -> Self:
        if self.least_neighbours > self.neighbours:
            raise ValueError(
                f"least_neighbours is {self.least_neighbours}, more than neighbours, "
                f"{self.neighbours}; lower it"
            )
        return self


class KnnRouterSettings(PoolRouterSettings):
    """Routes by what RecordOutcome has recorded."""

    kind: Literal["knn"] = "knn"
    """Kind of the router. Required."""
    pseudo_outcomes: NotNegative = 1.0
    """Outcomes at the model's own mean that each score begins with."""


KINDS = (ArtefactRouterSettings, SmoothieRouterSettings, KnnRouterSettings)


def _kind_of(section: Any) -> str | None:  # noqa: ANN401  whatever stands in the settings
    if not isinstance(section, dict):
        return getattr(section, "kind", None)
    kind = section.get("kind", "artefact" if "directory" in section else None)
    return kind if isinstance(kind, str) else None


RouterSettings: TypeAlias = Annotated[
    Annotated[ArtefactRouterSettings, Tag("artefact")]
    | Annotated[SmoothieRouterSettings, Tag("smoothie")]
    | Annotated[KnnRouterSettings, Tag("knn")],
    Discriminator(
        _kind_of,
        custom_error_type="router_kind",
        custom_error_message=(
            "needs a kind, which is artefact, smoothie or knn, or the directory of an artefact"
        ),
    ),
]
