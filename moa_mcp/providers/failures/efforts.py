"""A rejected reasoning effort, and the efforts that the provider accepts, read from its message. Pure."""

from __future__ import annotations

import re

from moa_mcp.errors import ParameterRefused
from moa_mcp.parameters import EFFORTS
from moa_mcp.providers.failures.phrases import phrases

NAMES = r"reasoning[ _]?effort|reasoning\.effort|output_config\.effort|thinking[ _]?level|effort(?=\s?=)"
"""A pattern for the names of the parameter at providers and gateways."""
NAMES_OF_TOKENS = (
    r"thinking_?tokens|thinking_?token_?budget|thinking[ _]?budget|budget_?tokens|enable_thinking|(?<=')thinking(?=')"
)
"""A pattern for the names of the number of tokens for reasoning."""

_EFFORT = rf"(?:{'|'.join(EFFORTS)}|default)"
_WORD = re.compile(rf"(?<![\w.]){_EFFORT}\b")
_ALLOWED = re.compile(
    r"(?:one of|\b(?:supported|allowed|accepted|valid|permitted|available) (?:values?|levels?|options?|efforts?)"
    r"|(?:should|must|can only) be|only supports?|expected)(?P<list>.{2,200})",
    re.IGNORECASE | re.DOTALL,
)
_AFTER = re.compile(r"received|but got|\bgot\b|\binput'|\bnot\b|[.;](?:\s|$)", re.IGNORECASE)
"""What follows a list of accepted values."""
_OF_VALUE = phrases(rf"""
    effort\W{{1,4}}['"`]?{_EFFORT}\b|(?:does not|doesn't) support ['"`]{_EFFORT}|level ['"`]?{_EFFORT}
    ['"`]{_EFFORT}['"`] is not (?:a )?(?:supported|valid|allowed)|invalid (?:value|reasoning[ _]?effort)
    unsupported.?value
""")
_NO_ROOM = phrases(r"""
    max_?tokens\W{1,3}(?:must|should|has to|needs to) be (?:greater|larger|more|higher) than\W{1,3}(?:the )?thinking
    max_?tokens\W{1,3}(?:must|should|has to|needs to) be (?:greater|larger|more|higher) than\W{1,3}budget_?tokens
    budget_?tokens\W{1,3}(?:must|should|has to|needs to) be (?:less|lower|smaller) than\W{1,3}max_?tokens
""")


def leaves_no_room(words: str) -> bool:
    """Whether a message says that the reasoning takes the whole token limit."""
    return _NO_ROOM.search(words) is not None


def refusal(words: str, message: str) -> ParameterRefused:
    """Return the error for a rejected reasoning effort."""
    allowed = _allowed(words)
    by_value = bool(allowed) or _OF_VALUE.search(words) is not None
    return ParameterRefused(
        message, parameter="reasoning_effort", reason="value" if by_value else "unknown", words=allowed
    )


def _allowed(words: str) -> tuple[str, ...]:
    """Return the efforts that a message lists as accepted; empty if it lists none."""
    for found in _ALLOWED.finditer(words):
        listed = _AFTER.split(found["list"], maxsplit=1)[0]
        if efforts := tuple(dict.fromkeys(each[0] for each in _WORD.finditer(listed))):
            return efforts
    return ()
