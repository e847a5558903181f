"""Panels: groups of living models, from which those that this environment can call are chosen."""

from __future__ import annotations

from moa_mcp.panels.candidates import PROVIDERS, Candidate, Environment, all_known, excludable
from moa_mcp.panels.makers import makers
from moa_mcp.panels.resolving import Candidates, Resolved, Resolver, StandIn, needs, replaceable

__all__ = [
    "PROVIDERS",
    "Candidate",
    "Candidates",
    "Environment",
    "Resolved",
    "Resolver",
    "StandIn",
    "all_known",
    "excludable",
    "makers",
    "needs",
    "replaceable",
]
