"""A run as a chat completion, whole or in chunks. The data of OpenAI, and in `moa` what it has no place for."""

from __future__ import annotations

import time

from msgspec import Struct, field

from moa_mcp.server.results import SIMULATED
from moa_mcp.trace.json import summary
from moa_mcp.trace.trace import Trace

_ELSEWHERE = frozenset({"answer", "usage"})
"""The parts of a summary that a completion has in other places."""
Data = dict[str, object]


class Shape(Struct, frozen=True):
    """What all data about one run have in common."""

    run_id: str
    model: str
    """As the client wrote it."""
    simulated: bool
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, trace: Trace) -> Data:
        """Return the whole answer."""
        message = {"role": "assistant", "content": trace.answer, "refusal": None}
        choice: Data = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(trace)}
        head = self._head("chat.completion")
        return {**head, "choices": [choice], "usage": usage(trace), "moa": self.about(trace)}

    def chunk(self, **delta: str) -> Data:
        """Return a piece of the answer."""
        return self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def last(self, trace: Trace) -> Data:
        """Return the chunk that ends the answer."""
        choice: Data = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish_reason(trace)}
        return {**self._chunk([choice]), "moa": self.about(trace)}

    def used(self, trace: Trace) -> Data:
        """Return the chunk with the usage, which has no choice."""
        return {**self._chunk([]), "usage": usage(trace)}

    def about(self, trace: Trace) -> Data:
        """Return the run: its ID, status, layers, cost and notes."""
        known = {name: value for name, value in summary(trace).items() if name not in _ELSEWHERE}
        return {**known, "notes": [SIMULATED, *trace.notes] if self.simulated else list(trace.notes)}

    def _chunk(self, choices: list[Data]) -> Data:
        return {**self._head("chat.completion.chunk"), "choices": choices}

    def _head(self, kind: str) -> Data:
        return {"id": f"chatcmpl-{self.run_id}", "object": kind, "created": self.created, "model": self.model}


def usage(trace: Trace) -> Data:
    """Return the tokens of all calls of the run."""
    used = trace.usage
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
    }


def _finish_reason(trace: Trace) -> str:
    last = trace.steps[-1].answers if trace.steps else ()
    return "length" if any(answer.cut for answer in last) else "stop"
