"""Answers the calls of Inspect with runs that are recorded, so that what was paid once is not paid again.

The runs are those of ``moa-mcp eval``: the same pipeline, messages and repetition is the same run, so that each of the
two finds what the other paid for. It knows no messages of Inspect, and not where the runs are opened.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from moa_mcp.config import Config, Pipeline
from moa_mcp.evaluation.execution.asker import Asker, Replied
from moa_mcp.evaluation.execution.identities import RunIdentity
from moa_mcp.evaluation.inspecting.failures import RunUnanswered
from moa_mcp.evaluation.inspecting.place import CallCounter, SamplePlace
from moa_mcp.values import COMPLETE, Question, images_of

OnReply = Callable[[str, SamplePlace, Replied], None]
"""Is called with the name of a model, where the call came from, and what its run returned, whether or not an answer."""
_log = logging.getLogger(__name__)
_EPOCHS = 10_000
"""More than any evaluation has: equal calls of one sample count on from here."""


@dataclass(slots=True)
class Answering:
    """Answers questions with the runs of one journal."""

    asker: Asker
    """Its budget is that of all runs."""
    config: Config
    pipelines: Mapping[str, Pipeline] = field(default_factory=dict[str, Pipeline])
    """By the name of a model, if it is not that of the configuration."""
    on_reply: OnReply = field(default=lambda _name, _place, _reply: None)
    noted: Callable[[str], None] = field(default=_log.warning)
    """Is called with what a user must know, such as a setting without effect. Each note comes once."""
    _equal: CallCounter = field(default_factory=CallCounter, init=False)
    _awaited: Counter[str] = field(default_factory=Counter[str], init=False)
    """How many calls wait for a run."""

    async def __call__(
        self, model: str, pipeline: Pipeline, question: Question, place: SamplePlace, seed: int | None = None
    ) -> Replied:
        """Return the run of a question when it has an answer. On cancellation it stops, and can be resumed.

        Raises:
            RunUnanswered: it failed, can't start, or the budget is used up.

        """
        question = pipeline.asked(question)
        repetition = place.epoch - 1 + _EPOCHS * self._equal.number(place, _content(model, question))
        identity = _identity(self.asker.identities.of_question(pipeline, question, repetition), question, seed)
        with self._awaiting(identity.run_id):
            reply = await self.asker.reply(pipeline, question, identity)
        self.on_reply(model, place, reply)
        if reply.answer is None:
            raise RunUnanswered(_unanswered(pipeline, reply), not_started=reply.not_started)
        return reply

    @contextmanager
    def _awaiting(self, run_id: str) -> Generator[None]:
        """Stop the run if the last of those who wait for it is cancelled."""
        self._awaited[run_id] += 1
        try:
            yield
        finally:
            self._awaited[run_id] -= 1
            if not self._awaited[run_id]:
                del self._awaited[run_id]
                run = self.asker.runs.find(run_id)
                if run is not None:
                    run.scope.cancel()


def _identity(identity: RunIdentity, question: Question, seed: int | None) -> RunIdentity:
    """Return the identity of a run with a seed of its user, or with images in earlier turns."""
    images = [image.content_sha256 or image.url for image in images_of(question.turns)]
    if seed is None and not images:
        return identity
    run_id = sha256(json.dumps([identity.run_id, seed, images]).encode()).hexdigest()[: len(identity.run_id)]
    return RunIdentity(run_id, identity.seed if seed is None else seed)


def _content(model: str, question: Question) -> str:
    """Return what equal calls have in common."""
    turns = [[each.role, each.content, *(image.url for image in each.images)] for each in question.turns]
    images = [image.url for image in question.images]
    content = [model, question.text, question.system, turns, images, question.answer_schema]
    return sha256(json.dumps(content).encode()).hexdigest()


def _unanswered(pipeline: Pipeline, reply: Replied) -> str:
    """Return why there is no answer, with the remedy."""
    if reply.not_started:
        return (
            f"{pipeline.name}: {reply.problem}; raise the budget and start again: what has an answer is not paid again"
        )
    if reply.trace is None:
        return f"{pipeline.name} was not started: {reply.problem}"
    if reply.trace.status in {*COMPLETE, "failed", "cancelled"}:
        show = f"moa-mcp runs show {reply.run_id} has its calls"
        return f"{pipeline.name} failed: {reply.problem} ({show})"
    return f"{pipeline.name}: run {reply.run_id} was interrupted; start again to continue it"
