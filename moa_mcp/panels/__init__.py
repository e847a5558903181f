"""Panels: groups of living models, from which those that this environment can call are chosen."""

from __future__ import annotations

from moa_mcp.panels.candidates import PROVIDERS, Candidate, all_known, candidates
from moa_mcp.panels.resolving import Candidates, Resolved, Resolver, StandIn

__all__ = ["PROVIDERS", "Candidate", "Candidates", "Resolved", "Resolver", "StandIn", "all_known", "candidates"]
