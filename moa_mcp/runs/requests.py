"""Requests for runs: a new one, or one that continues a recorded run."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from msgspec import Struct

from moa_mcp.config import Pipeline
from moa_mcp.values import Question

Consent: TypeAlias = Literal["none", "budget", "given"]
"""What confirms the cost of a run: nothing (`none`); a budget of at least the expected cost (`budget`); or the caller,
at any cost (`given`)."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose run it is."""

    name: str = ""
    """The name of a caller; empty for the local user."""
    max_cost_usd_per_day: Decimal | None = None
    """Maximum cost of the owner's runs of a day, in US dollars; None for no limit."""


class Terms(Struct, frozen=True, kw_only=True):
    """Settings that all kinds of runs share."""

    max_cost_usd: Decimal | None = None
    """Budget in US dollars; None for the configured one, or that of the recorded run."""
    overrides_limits: bool = False
    """Whether budget and deadline may exceed the configured ones; otherwise the lower value applies."""
    consent: Consent = "none"
    owner: Owner | None = None
    """Whose run it will be. A resumed run keeps its owner, and is limited by the budget of this one; None changes
    neither."""
    max_runs: int | None = None
    """Maximum number of active runs of its owner, this one among them; None for any number."""


class NewRun(Terms, frozen=True, kw_only=True):
    """A new run of a pipeline."""

    pipeline: Pipeline
    question: Question
    seed: int | None = None
    """None for a random one."""
    deadline_s: float | None = None
    """Seconds; None for the configured time limit."""
    run_id: str | None = None
    """An ID that no other run has; None for a random one."""
    batch: str = ""
    """The batch that the run belongs to; empty for none."""
    continues: str = ""
    """The ID of the run that the question follows; empty for none. Its question and answer become earlier turns."""
    entire: bool = False
    """Whether it fails if a limit that it shares with other runs does not allow all its calls, instead of leaving some
    out."""


class ResumedRun(Terms, frozen=True, kw_only=True):
    """A run that was interrupted, failed or cancelled and is to continue. Its paid calls are not paid again."""

    run_id: str
    unless_ended: bool = False
    """Whether a failed or cancelled run is not to continue."""


class ForkedRun(Terms, frozen=True, kw_only=True):
    """A new run from the answers before a step of a recorded run. Only that step and the later ones are paid."""

    run_id: str
    step: int
    """First step to run, from 1."""
    pipeline: Pipeline
    """The pipeline of the recorded run, with changes from that step on."""
    seed: int | None = None
    """None for that of the recorded run."""


RunRequest: TypeAlias = NewRun | ResumedRun | ForkedRun
