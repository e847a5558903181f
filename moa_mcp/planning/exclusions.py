"""Warns of words in ``[panels] exclude`` that exclude nothing, such as a misspelled maker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from moa_mcp.panels import excludable
from moa_mcp.planning.plan import Lint
from moa_mcp.routing.local import Listing
from moa_mcp.text.suggest import closest
from moa_mcp.text.visible import quoted

_LOCAL = ("/", ":")
"""Signs in the names of models of local servers, which may not run now."""


def exclusions(exclude: Iterable[str], local: Mapping[str, Listing]) -> Iterator[Lint]:
    """Yield a warning for each word that is neither a known model nor a maker; `local` has the models of servers."""
    known = excludable(local) if exclude else ()
    lower = {each.lower(): each for each in known}
    for word in exclude:
        may_be_local = any(sign in word for sign in _LOCAL)
        near = closest(
            word.lower(), [each for each in lower if not may_be_local or any(sign in each for sign in _LOCAL)]
        )
        if word.lower() in lower or (near is None and may_be_local):
            continue
        hint = f"; did you mean {quoted(lower[near])}?" if near else ""
        yield Lint(
            "panels.exclude", f"{quoted(word)} is neither a model of panels nor a maker, so it has no effect{hint}"
        )
