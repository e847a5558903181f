"""What inspect_ai loads at its start, through the entry point: the name of the provider. It imports the rest on use."""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi


@modelapi(name="moa")
def moa() -> type[ModelAPI]:
    """Return the provider of ``moa/PIPELINE``."""
    from moa_mcp.evaluation.inspecting.provider import PipelineModel  # noqa: PLC0415  nothing heavy at registration

    return PipelineModel
