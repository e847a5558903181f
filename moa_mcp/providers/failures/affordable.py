"""How many tokens the credit of an account still pays for, read from the provider's message. Pure."""

from __future__ import annotations

import re

from moa_mcp.providers.failures.phrases import phrases

_SAID = phrases(r"""
    afford(?: only| just| up to| about| at most| a maximum of){0,2} (\d{1,3}(?:[,_]\d{3})+|\d{1,9})\b(?![.,]?\d)
    (?:credits?|balance|funds|budget)\b[^.\n]{0,40}?\b(?:covers?|pays? for|enough for|sufficient for|good for)
        (?: only| just| up to| about| at most){0,2} (\d{1,3}(?:[,_]\d{3})+|\d{1,9})(?: more| output| completion)? tokens
""")


def tokens(message: str) -> int | None:
    """Return the number of tokens that the account can pay for; None if the message does not say."""
    found = _SAID.search(message)
    return int(re.sub(r"[,_]", "", found[1] or found[2])) if found else None
