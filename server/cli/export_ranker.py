"""`pointsman export-ranker`: a trained PairRM as a pairwise ranker that needs no torch."""

from pathlib import Path
from typing import Annotated

import typer

from server.cli.delivery import failure

_PROMPT = "Which gas do plants take in, and which do they give off in daylight?"
_ANSWERS = (
    "They take in carbon dioxide and give off oxygen.",
    "Oxygen.",
    "Bananas are rich in potassium. " * 100,  # longer than is read, so that every length is
)


def export_ranker(
    source: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            help="Directory of a PairRM: config.json, model.safetensors, tokenizer.json.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Directory to write; a ranker there is replaced.")],
    max_source_tokens: Annotated[
        int, typer.Option(min=4, help="Tokens that are read of a prompt.")
    ] = 1224,
    max_candidate_tokens: Annotated[
        int, typer.Option(min=4, help="Tokens that are read of an answer.")
    ] = 412,
) -> None:
    """Write a PairRM as ONNX, and compare it with the original."""
    from encoders.errors import EncodersError

    if source.resolve() == out.resolve():
        raise typer.BadParameter(f"{out} is the ranker itself, which is kept; name another.")
    try:
        from encoders.training.export_pairwise import export_pairwise, prove_pairwise
    except ModuleNotFoundError as error:
        raise failure(
            f"{error.name} is missing; install it with pip install '.[train]', or export elsewhere."
        ) from None
    try:
        export_pairwise(
            source,
            out,
            max_source_tokens=max_source_tokens,
            max_candidate_tokens=max_candidate_tokens,
        )
        largest = prove_pairwise(source, out, _PROMPT, _ANSWERS)
    except EncodersError as error:
        raise failure(str(error)) from None
    typer.echo(f"{out} is written; its logits differ from the original's by {largest:.1g} at most.")
