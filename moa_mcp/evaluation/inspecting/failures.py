"""Errors for users of Inspect: a message without a stack trace."""

from __future__ import annotations

import re

from moa_mcp.evaluation.inspecting.private import prerequisite
from moa_mcp.text.redact import redact

_MARKUP = re.compile(r"(\\*)(\[[a-z#/@][^[]*?])")
"""What Inspect would take as a style when it prints an error with rich."""


class RunUnanswered(Exception):
    """A run has no answer, so that Inspect counts its sample as an error. What it paid for is recorded."""

    def __init__(self, message: str, *, not_started: bool = False) -> None:
        self.message = redact(message)
        """Inspect shows it instead of the name of the class."""
        self.not_started = not_started
        """Whether the budget did not allow it."""
        super().__init__(self.message)


class NotSupported(RunUnanswered):
    """A message or a setting that a pipeline can't have. No model was called."""


def refused(message: str) -> Exception:
    """Return the error for what Inspect was started with: it prints such an error without a stack trace, and ends."""
    return prerequisite(_MARKUP.sub(r"\1\1\\\2", redact(message)))
