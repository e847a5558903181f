"""The values that flow through a run: what is asked, what comes back. Frozen; no behaviour beyond themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, NamedTuple

Role = Literal["system", "user", "assistant"]
Status = Literal["running", "complete", "degraded", "failed", "cancelled"]
FinishReason = Literal["stop", "length", "other"]
Parameters = Mapping[str, float | int]
Transport = Literal["openai", "litellm"]

TOKEN_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""The names of the parameter that bounds an answer's tokens. It may be renamed and lowered, but never left out: it
bounds what a call costs."""


def token_limit(parameters: Parameters) -> int | None:
    """Return how many tokens an answer may have, under whichever name that is sent; None for no limit."""
    return next((int(parameters[name]) for name in TOKEN_LIMITS if name in parameters), None)


class Message(NamedTuple):
    """One turn of a conversation with a model."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller wants answered: the question, material to answer it with, a system text of their own."""

    text: str
    context: str | None = None
    system: str | None = None


class Place(NamedTuple):
    """Where in a run a call stands. All three count from 1."""

    step: int
    number: int
    """Which call of its step."""
    sample: int = 1
    """Which of the equal calls of its step: six samples of one model are six answers."""

    def __str__(self) -> str:
        return f"{self.step}.{self.number}"


class ReplySchema(NamedTuple):
    """The form in which a reply is wanted, where the provider can hold its model to one (`response_format`)."""

    name: str
    json_schema: str
    """A JSON schema, as JSON text."""


class Window(NamedTuple):
    """Which of the answers a prompt shows, where they do not fit one: numbers from 1, and how many there are."""

    number: int
    first: int
    last: int
    of: int

    @property
    def final(self) -> bool:
        """Whether what is said to it is the answer, and not what the next window begins with."""
        return self.last == self.of

    def __str__(self) -> str:
        shown = f"answer {self.first}" if self.first == self.last else f"answers {self.first} to {self.last}"
        return f"window {self.number}, {shown} of {self.of}"


@dataclass(frozen=True, slots=True)
class Request:
    """What a step wants from one agent."""

    agent: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    max_tokens: int | None = None
    timeout_s: float | None = None
    """Seconds that one attempt may take; None waits for as long as the provider does."""
    hedge: bool = False
    """Whether a spare call may be made if it takes much longer than the others of its step."""
    reply_schema: ReplySchema | None = None
    """Sent where the route has structured output; the prompt says the same in words."""
    window: Window | None = None
    """What its prompt shows where there are several; None where it shows all. It is not sent."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a provider billed.

    Those read from and written to its cache are part of the prompt's, reasoning tokens of the completion's.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )


class Rates(NamedTuple):
    """What one token costs, in US dollars."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal
    """For prompt tokens that the provider had in its cache."""
    reasoning: Decimal
    """For completion tokens that were thought and not said."""
    cache_write: Decimal | None = None
    """For prompt tokens that the provider put into its cache; None where that costs nothing more."""


class Price(NamedTuple):
    """What a model's tokens cost."""

    rates: Rates
    source: str
    """Who says so."""
    tiers: tuple[tuple[int, Rates], ...] = ()
    """What every token of a call costs instead whose prompt has more tokens than a number, the smallest first."""

    def at(self, prompt_tokens: int) -> Rates:
        """Return what a token of a call costs that has such a prompt."""
        for above, rates in reversed(self.tiers):
            if prompt_tokens > above:
                return rates
        return self.rates

    def cost_usd(self, usage: Usage) -> Decimal:
        """Return what one call costs, in US dollars."""
        rates = self.at(usage.prompt_tokens)
        cost = usage.prompt_tokens * rates.prompt + usage.completion_tokens * rates.completion
        if usage.cached_tokens:
            cost += usage.cached_tokens * (rates.cached - rates.prompt)
        if usage.cache_write_tokens and rates.cache_write is not None:
            cost += usage.cache_write_tokens * (rates.cache_write - rates.prompt)
        if usage.reasoning_tokens:
            cost += usage.reasoning_tokens * (rates.reasoning - rates.completion)
        return cost


class Tokens(NamedTuple):
    """How many tokens there will be."""

    min: int
    expected: int
    max: int


class Dollars(NamedTuple):
    """What it will cost, in US dollars."""

    min: Decimal
    expected: Decimal
    max: Decimal


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call is served: the provider's name for the model, its server, its key. Never printed or stored whole."""

    model: str
    """The name that provider uses, with its prefix: ``openai/gpt-5-nano``."""
    provider: str
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    price: Price | None = None
    """What its tokens cost, where the configuration says so."""
    samples: int = field(default=1, compare=False)
    """How many answers one request can bring there, as far as is known beforehand."""
    wire_model: str | None = None
    """What its server calls the model, where it is asked over the OpenAI wire; None where litellm does the asking."""
    window: int | None = None
    """How many tokens prompt and answer may have together, where the configuration says so."""

    @property
    def transport(self) -> Transport:
        """How it is asked."""
        return "litellm" if self.wire_model is None else "openai"


class Call(NamedTuple):
    """A request with its place in a run, on its way through the model layers to a provider."""

    run_id: str
    place: Place
    agent: str
    messages: tuple[Message, ...]
    parameters: Parameters
    seed: int
    """The run's seed, for providers that simulate; it is not sent to real ones."""
    timeout_s: float | None = None
    equals: int = 1
    """How many calls equal to it are asked at the same time, itself included."""
    target: Target | None = None
    """Chosen by the routes layer; None above it."""
    samples: int = 1
    """How many answers one request is to bring, where the route can do that."""
    others: tuple[Place, ...] = ()
    """Where the calls stand that it asks for too: one for each sample but the first."""
    prompt_recurs: bool = False
    """Whether equal calls come close after each other, so that the provider is to keep the prompt in its cache."""
    hedge: bool = False
    """Whether a spare call may be made if it takes much longer than the others of its step."""
    spare: int = 0
    """How many routes it leaves to the calls that it is a spare of, if there are so many."""
    on_text: Callable[[str], None] | None = None
    """Wanted when somebody watches the text arrive; called with each piece in order, and with none for a thought."""
    reply_schema: ReplySchema | None = None
    """Sent where the route has structured output."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Where all calls stand that it asks for, its own first."""
        return (self.place, *self.others)

    def to(self, target: Target) -> Call:
        """Return the same call on its way to a target; `_replace` takes twice as long."""
        return Call._make((*self[:_TARGET], target, *self[_TARGET + 1 :]))


_TARGET = Call._fields.index("target")


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model said to one call."""

    text: str
    model: str
    """The name under which it was served: the route's."""
    finish_reason: FinishReason = "stop"
    usage: Usage | None = None
    """None where the provider reported none."""
    cost_usd: Decimal | None = None
    """US dollars; None where no price is known."""
    notes: tuple[str, ...] = ()
    """What the layers did on the way: parameters left out, routes that failed."""
    others: tuple[Completion, ...] = ()
    """Further answers that the same request brought; what was billed for all of them stands on this one alone."""
    reasoning: str = ""
    """What the model thought aloud before its answer, where the provider shows it; never a part of `text`."""

    @property
    def cut(self) -> bool:
        """Whether the token limit ended the text."""
        return self.finish_reason == "length"

    def noted(self, *notes: str) -> Completion:
        """Return the same completion with notes in front of its own."""
        return replace(self, notes=(*notes, *self.notes)) if notes else self


@dataclass(frozen=True, slots=True)
class Answer:
    """A text that stands in the pipeline, and who gave it."""

    text: str
    agent: str
    place: Place
    cut: bool = False
    """The token limit ended it; prompts say so."""
    shortened: bool = False
    """Only its beginning fits the window of the model that it is shown to; prompts say so."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader of the trace should know."""

    text: str
    degrades: bool = False
    """Whether the result is worse for it than the pipeline promises."""
    saved: int = 0
    """How many calls were not made, since they could change nothing."""


class Votes(NamedTuple):
    """How often a value was given."""

    value: str
    votes: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted to come to an answer."""

    values: tuple[Votes, ...]
    """What the answers came down to, or which of them a judge named (by their numbers); the most votes first."""
    abstained: int = 0
    """How many gave no value that could be read."""

    @property
    def of(self) -> int:
        """How many were counted, abstentions included."""
        return sum(votes for _, votes in self.values) + self.abstained


@dataclass(frozen=True, slots=True)
class State:
    """What one step hands to the next."""

    question: Question
    answers: tuple[Answer, ...] = ()
    notes: tuple[Note, ...] = ()
    """What the step that made this state has to say for the trace."""
    tally: Tally | None = None
    """What that step counted, if it did."""

    def then(self, answers: tuple[Answer, ...], *notes: Note, tally: Tally | None = None) -> State:
        """Return the state after a step: its answers in place of the ones before."""
        return State(self.question, answers, notes, tally)
