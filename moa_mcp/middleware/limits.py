"""Rate limits: concurrency, requests and tokens per minute, and adaptation to 429 responses.

Pure state without waiting: callers pass the time in seconds of one clock, and `slots` waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import inf

from msgspec import Struct, field

from moa_mcp.images.tokens import image_tokens
from moa_mcp.routing import commands
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Call, Usage, images_of, token_limit


class Limits(Struct, frozen=True):
    """Concurrency, rates and attempts."""

    attempts: int = 4
    concurrency: int = 256
    provider_concurrency: int = 64
    command_concurrency: int = 2
    """For programs, which need far more memory than requests."""
    requests_per_minute: Mapping[str, int] = field(default_factory=dict[str, int])
    """By provider; others have no limit."""
    tokens_per_minute: Mapping[str, int] = field(default_factory=dict[str, int])
    """By provider; others have no limit."""

    def concurrency_at(self, provider: str) -> tuple[str, int]:
        """Return the setting that limits the concurrent calls of a provider, and its value."""
        if provider == commands.PROVIDER:
            return "command_concurrency", self.command_concurrency
        return "provider_concurrency", self.provider_concurrency


def most_tokens(call: Call) -> int:
    """Return an upper estimate of a call's tokens: prompt and maximum answers."""
    prompt = EXPECTED.messages([message.content for message in call.messages])
    prompt += image_tokens(images_of(call.messages), call.target.model if call.target else "").expected
    return prompt + (token_limit(call.parameters) or 0) * call.samples


def billed_tokens(usage: Usage) -> int:
    """Return the number of tokens that a call used."""
    return usage.prompt_tokens + usage.completion_tokens


class Pace:
    """Spaces requests so that no more than a given number start in any minute."""

    def __init__(self, per_minute: int) -> None:
        self._gap_s = 60.0 / per_minute
        self.opens_at = 0.0
        """When the next request may start."""

    def start(self, now: float) -> None:
        """Count a request that starts now."""
        self.opens_at = max(now, self.opens_at) + self._gap_s


class Spent(Struct, eq=False):
    """Tokens of one call: an estimate at its start, corrected at its end."""

    at: float
    tokens: int


class Minute:
    """Limits the tokens of the calls that start within any 60 seconds.

    Calls are not spaced: those that fit the limit together start together. A call with more tokens than the limit
    starts when no other call is in its minute.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._spent: deque[Spent] = deque()
        self._sum = 0

    def opens_at(self, tokens: int, now: float) -> float:
        """Return when a call with this number of tokens may start; a time in the past if it may start now."""
        while self._spent and self._spent[0].at + 60.0 <= now:
            self._sum -= self._spent.popleft().tokens
        excess = self._sum + min(tokens, self._most) - self._most
        opens_at = 0.0
        for spent in self._spent:
            if excess <= 0:
                break
            excess -= spent.tokens
            opens_at = spent.at + 60.0
        return opens_at

    def start(self, tokens: int, now: float) -> Spent:
        """Count the tokens of a call that starts now."""
        spent = Spent(now, tokens)
        self._spent.append(spent)
        self._sum += tokens
        return spent

    def correct(self, spent: Spent, tokens: int) -> None:
        """Replace the estimate of a call with its actual tokens."""
        if self._spent and spent.at >= self._spent[0].at:
            self._sum += tokens - spent.tokens
        spent.tokens = tokens


class AdaptiveLimit:
    """An adaptive concurrency limit: additive increase, multiplicative decrease.

    A rejection halves the number of calls in progress. Rejections of calls that started before the last halving are
    ignored. The limit grows by one after as many answers as its size, if it was fully used. While no call is in
    progress, it recovers within a minute, because providers count per minute.
    """

    def __init__(self, most: int) -> None:
        self.size = most
        self.under_way = 0
        self._most = most
        self._answers = 0
        """Answers since the last change of the limit."""
        self._begun = 0
        self._halved_at = 0
        self._rests_since = inf

    @property
    def full(self) -> bool:
        """Whether no further call may start."""
        return self.under_way >= self.size

    def start(self, now: float) -> int:
        """Count a call that starts; return its number."""
        if not self.under_way and self.size < self._most:
            rested_s = max(0.0, now - self._rests_since)
            self.size = min(self._most, self.size + int(self._most * rested_s / 60.0))
        self.under_way += 1
        self._begun += 1
        return self._begun

    def answered(self) -> None:
        """Count an answer. Call this before `end`."""
        if self.size < self._most and self.full:
            self._answers += 1
            if self._answers >= self.size:
                self.size += 1
                self._answers = 0

    def refused(self, number: int) -> None:
        """Count a rejection of the call with this number. Call this before `end`."""
        if number > self._halved_at:
            self.size = max(1, min(self.size, self.under_way) // 2)
            self._halved_at = self._begun
            self._answers = 0

    def end(self, now: float) -> None:
        """Count a call that ended."""
        self.under_way -= 1
        self._rests_since = now
