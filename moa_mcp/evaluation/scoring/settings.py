"""What a user asks for: how answers are scored. `choosing.scorer_of` returns the scorer for it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from moa_mcp.config import Pipeline
from moa_mcp.steps.extracting import Extractor

Way: TypeAlias = Literal["auto", "text", "number", "choice", "json", "judge", "pairwise", "function"]
"""`auto` depends on the questions and on whether there is a judge. `pairwise` has no scorer: answers are compared."""


@dataclass(frozen=True, slots=True)
class ScoringSettings:
    """How answers are scored."""

    way: Way = "auto"
    function: str = ""
    """With the way `function`: its file and name, ``FILE.py:FUNCTION``."""
    extract: Extractor | None = None
    """The value of an answer that is compared, as in a `vote` step; None for that of the way."""
    tolerance: Decimal | None = None
    """The largest difference between two numbers that are the same; None for none."""
    judge: Pipeline | None = None
    """What is asked how right an answer is, or which of two is better."""
    rubric: str | None = None
    """What a judge looks at; None for the built-in one."""
