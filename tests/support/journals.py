"""Runs on a journal with scripted models, and strategies for all that a journal keeps."""

from __future__ import annotations

import time
from typing import get_args

from hypothesis import strategies as st

from moa_mcp import events as happened
from moa_mcp.config import Config, parse
from moa_mcp.errors import Failure
from moa_mcp.events import AttemptStarted, CallStarted, Event
from moa_mcp.findings import Analysis, Contradiction, PeerReview, Placement, Point, Standing
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.middleware import Model
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import Runs
from moa_mcp.values import (
    Answer,
    Comment,
    Completion,
    Dollars,
    FinishReason,
    Message,
    Note,
    Place,
    Question,
    Role,
    Status,
    Tally,
    Tokens,
    Usage,
    Votes,
)
from tests.support.layers import at
from tests.support.tables import AGGREGATE, PROPOSE, pipe

SYNTHESIZE = '{ step = "synthesize", agents = ["x", "y"] }'
SERVED = "".join(f'[models.{name}]\nroutes = ["openai/{name}"]\n' for name in "abcxyz")


def config_of(*steps: str, settings: str = "") -> Config:
    """Return a configuration with one pipeline, `p`; three propose, two synthesize and one aggregates by default.

    `settings` is TOML with dotted keys, such as `limits.attempts = 1`.
    """
    return parse(f"{settings}\n{SERVED}{pipe(*(steps or (PROPOSE, SYNTHESIZE, AGGREGATE)))}")


PANEL = config_of()
CALLS = 6
"""How many calls PANEL makes."""


def runs_of(model: Model, journal: Journal | None = None, config: Config = PANEL) -> Runs:
    """Return runs whose every agent is this model."""
    return Runs(config, Backend(model, lambda _: at("p/m")), journal)


def record_of(run_id: str = "r", **values: float) -> RunRecord:
    now = time.time()
    return RunRecord(run_id, "p", "{}", "running", "Why?", values.get("created_at", now), now)


def asked(number: int = 1, text: str = "Why?") -> CallStarted:
    return CallStarted(place=Place(1, number), agent="a", messages=(Message("user", text),))


def went_out(number: int = 1) -> AttemptStarted:
    return AttemptStarted(place=Place(1, number), attempt=1, model="p/a", parameters={"max_tokens": 9})


_LONG = "A long answer. " * 70_000
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=())),  # half characters too
    st.sampled_from(["", "\0", "\ud83d", "\ude00\ud83d", "👩‍👩‍👧 Ωé", '{"sha256": "0"}', _LONG]),
)
_NAMES = st.text(min_size=1, max_size=9)
_NUMBERS = st.integers(1, 2**53)
_SECONDS = st.floats(0, 1e12)
_DOLLARS = st.decimals(0, 10**6, allow_nan=False)
_MONEY = st.none() | _DOLLARS
_PLACES = st.builds(Place, _NUMBERS, _NUMBERS, _NUMBERS)
_MESSAGES = st.lists(st.builds(Message, st.sampled_from(get_args(Role)), TEXTS), max_size=3).map(tuple)
_USAGES = st.none() | st.builds(Usage, _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS)
_COMPLETION = (
    *(TEXTS, _NAMES, st.sampled_from(get_args(FinishReason)), _USAGES, _MONEY),
    st.lists(TEXTS, max_size=2).map(tuple),
)
_OTHERS = st.lists(st.builds(Completion, *_COMPLETION, reasoning=TEXTS), max_size=2).map(tuple)
_COMPLETIONS = st.builds(Completion, *_COMPLETION, _OTHERS, TEXTS)
_MAYBE = st.sampled_from([True, False, None])
_FAILURES = st.builds(Failure, _NAMES, TEXTS, st.booleans(), _MAYBE, _USAGES, _MONEY, TEXTS)
_COMMENTS = st.lists(st.builds(Comment, TEXTS, _NAMES, _PLACES, st.booleans()), max_size=2).map(tuple)
_POINTS_UP_TO_1 = st.floats(0, 1)
_RANKS = st.none() | st.builds(Placement, _NUMBERS, _NUMBERS, _POINTS_UP_TO_1)
_CONFIDENCES = st.none() | st.floats(0, 100)
_ANSWERS = st.lists(
    st.builds(Answer, TEXTS, _NAMES, _PLACES, st.booleans(), st.booleans(), _COMMENTS, _RANKS, _CONFIDENCES), max_size=3
).map(tuple)
_STATEMENTS = st.lists(st.builds(Point, TEXTS, st.lists(_NUMBERS, max_size=2).map(tuple)), max_size=2).map(tuple)
_ANALYSES = st.builds(
    Analysis,
    st.lists(_PLACES, max_size=2).map(tuple),
    _STATEMENTS,
    st.lists(st.builds(Contradiction, TEXTS, _STATEMENTS), max_size=2).map(tuple),
    _STATEMENTS,
    _STATEMENTS,
    st.lists(TEXTS, max_size=2).map(tuple),
)
_STANDINGS = st.builds(Standing, _NAMES, _PLACES, _NUMBERS, _POINTS_UP_TO_1, _NUMBERS, _NUMBERS)
_REVIEWS = st.builds(PeerReview, st.lists(_STANDINGS, max_size=2).map(tuple), _NUMBERS)
_NOTES = st.lists(st.builds(Note, TEXTS, st.booleans()), max_size=2).map(tuple)
_VOTES = st.builds(Votes, TEXTS, _NUMBERS, st.lists(_NUMBERS, max_size=2).map(tuple), st.none() | st.floats(0, 1))
_TALLIES = st.builds(Tally, st.lists(_VOTES, max_size=2).map(tuple))
_PARAMETERS = st.dictionaries(_NAMES, st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False))
_STATUSES = st.sampled_from(get_args(Status))
_JOINED = st.lists(st.builds(happened.Joined, _PLACES, _NUMBERS), max_size=2).map(tuple)
_ATTEMPT = {"at": _SECONDS, "place": _PLACES, "attempt": _NUMBERS, "others": _JOINED}

EVENTS: dict[type[Event], st.SearchStrategy[Event]] = {
    happened.RunStarted: st.builds(
        happened.RunStarted,
        at=_SECONDS,
        run_id=_NAMES,
        pipeline=_NAMES,
        question=st.builds(Question, TEXTS, st.none() | TEXTS, st.none() | TEXTS, _MESSAGES),
        seed=_NUMBERS,
        steps=st.lists(_NAMES, max_size=3).map(tuple),
        continues=st.just("") | _NAMES,
    ),
    happened.RunEstimated: st.builds(
        happened.RunEstimated,
        at=_SECONDS,
        calls=_NUMBERS,
        tokens=st.builds(Tokens, _NUMBERS, _NUMBERS, _NUMBERS),
        cost_usd=st.none() | st.builds(Dollars, _DOLLARS, _DOLLARS, _DOLLARS),
        unpriced=st.lists(_NAMES, max_size=2).map(tuple),
        max_cost_usd=_MONEY,
    ),
    happened.RunResumed: st.builds(happened.RunResumed, at=_SECONDS, finished_steps=_NUMBERS),
    happened.RunForked: st.builds(happened.RunForked, at=_SECONDS, from_run=_NAMES, steps=_NUMBERS),
    happened.StepStarted: st.builds(happened.StepStarted, at=_SECONDS, step=_NUMBERS, step_kind=_NAMES),
    happened.CallStarted: st.builds(
        happened.CallStarted,
        at=_SECONDS,
        place=_PLACES,
        agent=_NAMES,
        messages=_MESSAGES,
        window=st.sampled_from(["", "window 1, answer 1 of 2"]),
    ),
    happened.AttemptStarted: st.builds(
        happened.AttemptStarted,
        **_ATTEMPT,
        model=TEXTS,
        parameters=_PARAMETERS,
        server=st.sampled_from(["", "localhost:80"]),
    ),
    happened.AttemptFinished: st.builds(
        happened.AttemptFinished, **_ATTEMPT, completion=_COMPLETIONS, seconds=_SECONDS
    ),
    happened.AttemptFailed: st.builds(happened.AttemptFailed, **_ATTEMPT, failure=_FAILURES, seconds=_SECONDS),
    happened.CallFinished: st.builds(
        happened.CallFinished, at=_SECONDS, place=_PLACES, completion=_COMPLETIONS, seconds=_SECONDS
    ),
    happened.CallFailed: st.builds(
        happened.CallFailed, at=_SECONDS, place=_PLACES, failure=_FAILURES, seconds=_SECONDS
    ),
    happened.StepFinished: st.builds(
        happened.StepFinished,
        at=_SECONDS,
        step=_NUMBERS,
        answers=_ANSWERS,
        notes=_NOTES,
        seconds=_SECONDS,
        analysis=st.none() | _ANALYSES,
        review=st.none() | _REVIEWS,
        tally=st.none() | _TALLIES,
        verdict=st.sampled_from(["", "equivalent"]),
        final=st.booleans(),
    ),
    happened.RunFinished: st.builds(
        happened.RunFinished,
        at=_SECONDS,
        status=_STATUSES,
        answer=st.none() | TEXTS,
        error=st.none() | TEXTS,
        seconds=_SECONDS,
        in_json=st.booleans(),
    ),
}
"""All that is kept, by type; pieces of text are not."""
