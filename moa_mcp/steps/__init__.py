"""The step types. To add one, write a class in this folder and add it to the union `Step`, which is the registry."""

from __future__ import annotations

from typing import TypeAlias

from moa_mcp.steps.agreeing import Agree
from moa_mcp.steps.analyzing import Analyze
from moa_mcp.steps.answering import Aggregate, Propose, Refine, Synthesize
from moa_mcp.steps.critiquing import Critique
from moa_mcp.steps.extracting import Ahead, Stop
from moa_mcp.steps.judging import Vote
from moa_mcp.steps.layer import Agent, ModelStep, MultiAgentStep, SingleAgentStep
from moa_mcp.steps.members import Member
from moa_mcp.steps.ranking import Rank
from moa_mcp.steps.reviewing import Review
from moa_mcp.steps.selecting import Dropout, Sample, Shuffle, Take
from moa_mcp.steps.step import StepBase, Turn

__all__ = [
    "Agent",
    "Aggregate",
    "Agree",
    "Ahead",
    "Analyze",
    "Critique",
    "Dropout",
    "Member",
    "ModelStep",
    "MultiAgentStep",
    "Propose",
    "Rank",
    "Refine",
    "Review",
    "Sample",
    "Shuffle",
    "SingleAgentStep",
    "Step",
    "StepBase",
    "Stop",
    "Synthesize",
    "Take",
    "Turn",
    "Vote",
]

Step: TypeAlias = (
    Propose
    | Synthesize
    | Aggregate
    | Refine
    | Critique
    | Analyze
    | Review
    | Rank
    | Vote
    | Agree
    | Shuffle
    | Dropout
    | Sample
    | Take
)
