"""What every section of the settings is made of."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_LONGEST_TIME = 86_400.0 * 36_500

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Field(ge=0, le=_LONGEST_TIME, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def expandable(path: Path) -> Path:
    """Refuses a path that begins with a home which is not there.

    Raises:
        ValueError: Its user is unknown, or the current one has no home.
    """
    try:
        path.expanduser()
    except RuntimeError:
        raise ValueError(
            f"{path} begins with a home directory that can't be told; give the whole path"
        ) from None
    return path


HomePath = Annotated[Path, AfterValidator(expandable)]


class Section(BaseModel):
    """A frozen group of settings that refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
