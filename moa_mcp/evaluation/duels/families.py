"""Warnings where a judge may favor a contestant, because both are of one maker: a judge tends to prefer its own style.

Self-preference of judges: Panickssery et al. 2024, arXiv 2404.13076.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from moa_mcp.panels.makers import known_maker

_VERSION = re.compile(r"(?:[-@:](?:\d{4}-?\d{2}-?\d{2}|latest|free|preview))+$")


def shared_families(judge: Sequence[str], contestants: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return a note for each contestant that shares a model or a maker with the judge.

    `judge` has the models of the judge, `contestants` those of each contestant by its name; all as routes or names.
    """
    return tuple(note for name, models in contestants.items() if (note := _note(judge, name, models)))


def _note(judge: Sequence[str], name: str, models: Sequence[str]) -> str:
    judges = {_plain(model): model for model in judge}
    own = [model for model in dict.fromkeys(models) if _plain(model) in judges]
    if own:
        return (
            f"{_listed(own)} is both a judge and a model of {name}: judges tend to prefer their own answers; "
            "use a judge of another maker"
        )
    makers = {maker for model in judge if (maker := known_maker(model)) is not None}
    shared = sorted({maker for model in models if (maker := known_maker(model)) in makers})
    if shared:
        return (
            f"the judge and {name} have models of {_listed(shared)}: judges tend to prefer answers of their family; "
            "use a judge of another maker"
        )
    return ""


def _plain(model: str) -> str:
    """Return the name of a model without its provider and its version."""
    return _VERSION.sub("", model.rpartition("/")[2].lower())


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
