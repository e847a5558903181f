"""How much may be under way at once, how often something may start, and what is learned of that from refusals.

Nothing here waits or knows the time: moments are handed in, in seconds of one clock, and `slots` does the waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from moa_mcp.values import Call, Usage, token_limit

CHARACTERS = 4
"""Of one token, as English text has them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be under way at once, and how often a call may be tried."""

    attempts: int = 4
    concurrency: int = 256
    provider_concurrency: int = 64
    requests_per_minute: Mapping[str, int] = field(default_factory=dict[str, int])
    """By provider; a provider that is not named has no limit."""
    tokens_per_minute: Mapping[str, int] = field(default_factory=dict[str, int])
    """By provider, as `requests_per_minute`."""


def most_tokens(call: Call) -> int:
    """Return about how many tokens a call may take: its prompt's, and all that its answers may have."""
    prompt = sum(len(message.content) for message in call.messages) // CHARACTERS
    return prompt + (token_limit(call.parameters) or 0) * call.samples


def billed_tokens(usage: Usage) -> int:
    """Return how many tokens a call took."""
    return usage.prompt_tokens + usage.completion_tokens


class Pace:
    """Spaces requests so that no minute sees more than a given number of them start."""

    def __init__(self, per_minute: int) -> None:
        self._gap_s = 60.0 / per_minute
        self.opens_at = 0.0
        """When the next request may start."""

    def start(self, now: float) -> None:
        """Count a request that starts now."""
        self.opens_at = max(now, self.opens_at) + self._gap_s


@dataclass(slots=True, eq=False)
class Spent:
    """Tokens of one call: estimated when it starts, corrected when it ends."""

    at: float
    tokens: int


class Minute:
    """Keeps the tokens of the calls that started within any 60 seconds below a given number.

    They are not spaced, as requests are: a panel whose calls fit the minute together starts together. A call that
    alone has more than a minute's tokens starts when nothing else is in its minute.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._spent: deque[Spent] = deque()
        self._sum = 0

    def opens_at(self, tokens: int, now: float) -> float:
        """Return when a call with so many tokens may start; a moment that is past if it may now."""
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
        """Count what a call took, rather than what it might have taken."""
        if self._spent and spent.at >= self._spent[0].at:
            self._sum += tokens - spent.tokens
        spent.tokens = tokens


class Allowance:
    """How many calls may be under way at once, learned from refusals: additive increase, multiplicative decrease.

    A refusal halves what was under way, once for all calls that were: those that began before the last halving say
    nothing about it. As many answers as it is wide make it wider by one, if it is used up. What was learned fades
    while nothing is under way, and is forgotten in a minute, since that is what limits are counted in.
    """

    def __init__(self, most: int) -> None:
        self.size = most
        self.under_way = 0
        self._most = most
        self._answers = 0
        """Since it was made wider or narrower."""
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
        """Take in that a call was answered, which has not ended yet."""
        if self.full and self.size < self._most:
            self._answers += 1
            if self._answers >= self.size:
                self.size += 1
                self._answers = 0

    def refused(self, number: int) -> None:
        """Take in that there were too many calls, said to the one with this number, which has not ended yet."""
        if number > self._halved_at:
            self.size = max(1, min(self.size, self.under_way) // 2)
            self._halved_at = self._begun
            self._answers = 0

    def end(self, now: float) -> None:
        """Count a call that ended."""
        self.under_way -= 1
        self._rests_since = now
