"""Runs: admission, start, resume and fork. A run continues after the request that started it."""

from __future__ import annotations

from moa_mcp.runs.admission import (
    Admitted,
    ConfirmationRequired,
    Ready,
    RunRefused,
)
from moa_mcp.runs.caller_runs import CallerRuns, Deed
from moa_mcp.runs.chosen import chosen
from moa_mcp.runs.differences import Difference, differences
from moa_mcp.runs.estimates import estimated
from moa_mcp.runs.overrides import changed, other_models
from moa_mcp.runs.record import question_of, settle, traced, was_simulated
from moa_mcp.runs.requests import Consent, ForkedRun, NewRun, ResumedRun, RunRequest
from moa_mcp.runs.run import Run
from moa_mcp.runs.runs import Runs
from moa_mcp.runs.store import turns_of

__all__ = [
    "Admitted",
    "CallerRuns",
    "ConfirmationRequired",
    "Consent",
    "Deed",
    "Difference",
    "ForkedRun",
    "NewRun",
    "Ready",
    "ResumedRun",
    "Run",
    "RunRefused",
    "RunRequest",
    "Runs",
    "changed",
    "chosen",
    "differences",
    "estimated",
    "other_models",
    "question_of",
    "settle",
    "traced",
    "turns_of",
    "was_simulated",
]
