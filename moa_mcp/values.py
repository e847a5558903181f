"""The values that flow through a run: requests, calls, completions and answers. Frozen, without behavior."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.findings import Analysis, PeerReview, Placement, Tally, Votes
from moa_mcp.images import Image
from moa_mcp.places import PLAIN, Place, Word
from moa_mcp.prices import Dollars, Price, Rates, Tokens, Usage
from moa_mcp.targets import NO_SETTINGS, CallSettings, Program, Target, Transport

if TYPE_CHECKING:
    from pydantic import JsonValue
else:
    JsonValue = object  # msgspec reads such values as they are

__all__ = [
    "NO_SETTINGS",
    "PLAIN",
    "Analysis",
    "CallSettings",
    "Dollars",
    "Image",
    "PeerReview",
    "Place",
    "Placement",
    "Price",
    "Program",
    "Rates",
    "Tally",
    "Target",
    "Tokens",
    "Transport",
    "Usage",
    "Votes",
    "Word",
]
"""What is defined in `findings`, `images`, `places`, `prices` and `targets`, and is also imported from here."""

Role = Literal["system", "user", "assistant"]
Status = Literal["queued", "running", "complete", "degraded", "failed", "cancelled"]
"""`queued`: not executed yet. `ACTIVE` are those of a run that has not ended, `COMPLETE` one with an answer."""
ACTIVE: frozenset[Status] = frozenset({"queued", "running"})
COMPLETE: frozenset[Status] = frozenset({"complete", "degraded"})
FailureReason = Literal[
    "no_provider",
    "question_too_long",
    "images_not_taken",
    "unpriced",
    "budget",
    "deadline",
    "step",
    "journal",
    "internal",
]
"""Why a run has no answer. `step`: too few answers. `journal`: it can't be written. `internal`: an error in moa-mcp."""
FinishReason = Literal["stop", "length", "other"]
Hedge = Literal["auto"] | bool
"""Whether a late call gets a second request. "auto" limits their cost."""
Grace = Literal["auto"] | float
"""How long the last calls of a step are awaited: in seconds, or for a multiple of the time of the others."""
Sending = Literal["strict", "loose", "never"]
"""How a provider gets a schema: it enforces it; OpenAI follows it as far as it can; or it is only in the prompt."""
Spawn = Callable[[Callable[[], Coroutine[object, object, None]]], None]
Parameters = Mapping[Word, Annotated[JsonValue, PLAIN]]
"""The parameters of a request by name. They come from the configuration, so they hold no text of a user."""

TOKEN_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""The names of the parameter that limits the tokens of an answer. It is never dropped, because it limits the cost."""

IMAGES = "images"
"""How a `ParameterRefused` names the images of a prompt. Its reason is "value" if only these images are refused."""


def token_limit(parameters: Parameters) -> int | None:
    """Return the token limit, whichever name it has; None if there is none."""
    for name in TOKEN_LIMITS:
        if name in parameters and isinstance(limit := parameters[name], int | float):
            return int(limit)
    return None


class Message(NamedTuple):
    """One message of a conversation with a model."""

    role: Role
    content: str
    images: tuple[Image, ...] = ()
    """Only those of users have any."""


def images_of(messages: Iterable[Message]) -> tuple[Image, ...]:
    """Return the images of messages, in order."""
    images: tuple[Image, ...] = ()
    for message in messages:  # nearly always none has any
        images += message.images
    return images


@dataclass(frozen=True, slots=True)
class Question:
    """The user's question, with optional context, system prompt, earlier turns of the conversation and images."""

    text: str
    context: str | None = None
    system: str | None = None
    turns: tuple[Message, ...] = ()
    """Earlier turns of the user and the assistant, oldest first. Every prompt has them before the question."""
    images: tuple[Image, ...] = ()
    """The last message of every prompt has them."""
    answer_schema: str | None = None
    """A JSON Schema as text, by which the answer of the run is JSON; None for an answer in any form."""


class ReplySchema(NamedTuple):
    """A JSON schema for the reply, sent as `response_format` to models that support it."""

    name: str
    json_schema: str
    """The JSON schema as text."""
    sending: Sending = "strict"


class Window(NamedTuple):
    """The answers that a prompt shows if not all of them fit: numbers from 1, and their total."""

    number: int
    first: int
    last: int
    of: int

    @property
    def final(self) -> bool:
        """Whether its reply is the final answer, and not the input of the next window."""
        return self.last == self.of

    def __str__(self) -> str:
        shown = f"answer {self.first}" if self.first == self.last else f"answers {self.first} to {self.last}"
        return f"window {self.number}, {shown} of {self.of}"


class Request(NamedTuple):
    """A step's request to one agent."""

    agent: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    max_tokens: int | None = None
    timeout_s: float | None = None
    """Seconds for one attempt; None sets no limit."""
    hedge: Hedge = False
    """Whether to send a second request if this one takes much longer than the others of its step."""
    reply_schema: ReplySchema | None = None
    """Sent if the route supports structured output. The prompt contains the same instruction."""
    window: Window | None = None
    """The answers that the prompt shows if there are several windows; None if it shows all. Not sent."""
    settings: CallSettings = NO_SETTINGS


class Call(NamedTuple):
    """A request with its position in a run, as it passes through the layers to a provider."""

    run_id: str
    place: Place
    agent: str
    messages: tuple[Message, ...]
    parameters: Parameters
    seed: int
    """The run's seed, for simulated models. Not sent to real ones."""
    timeout_s: float | None = None
    equals: int = 1
    """Number of equal calls that are made at the same time, including this one."""
    last: int = 1
    """Number of the last call of the step that starts together with this one."""
    target: Target | None = None
    """Set by the routes layer; None outside of it."""
    samples: int = 1
    """Number of answers that this request asks for."""
    others: tuple[Place, ...] = ()
    """Positions of the other calls that the request answers, one for each sample after the first."""
    prompt_recurs: bool = False
    """Whether equal calls follow soon, so that the provider should cache the prompt."""
    hedge: Hedge = False
    """Whether to send a second request if this one takes much longer than the others of its step."""
    reasons: bool = False
    """Whether the model reasons before it answers, which may take many times as long."""
    spawn: Spawn | None = None
    """Starts a task that must end before the calls of the step; None if no second request can be sent."""
    spare: int = 0
    """Number of routes to skip, for a hedged request: earlier requests for the same answer use them."""
    on_text: Callable[[str], None] | None = None
    """Called with each piece of the answer's text in order, never with reasoning. None if the text is not streamed."""
    reply_schema: ReplySchema | None = None
    """Sent if the route supports structured output."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Positions of all calls that the request answers, its own first."""
        return (self.place, *self.others)

    def to(self, target: Target) -> Call:
        """Return the same call with a target. Half the time of `_replace`."""
        return Call._make((*self[:_TARGET], target, *self[_TARGET + 1 :]))


_TARGET = Call._fields.index("target")


class Completion(Struct, frozen=True):
    """A model's reply to one call."""

    text: str
    model: Word
    """Model name of the route."""
    finish_reason: FinishReason = "stop"
    usage: Usage | None = None
    """None if the provider did not report it."""
    cost_usd: Decimal | None = None
    """US dollars; None if the price is not known."""
    notes: tuple[str, ...] = ()
    """What the layers changed: dropped parameters, failed routes."""
    others: tuple[Completion, ...] = ()
    """Further answers to the same request. Usage and cost of all of them are on this one."""
    reasoning: str = ""
    """Reasoning of the model, if the provider returns it. Never part of `text`."""

    @property
    def cut(self) -> bool:
        """Whether the token limit ended the text."""
        return self.finish_reason == "length"

    def noted(self, *notes: str) -> Completion:
        """Return the same completion with these notes before its own."""
        return replace(self, notes=(*notes, *self.notes)) if notes else self


class Comment(Struct, frozen=True):
    """What an agent says about an answer."""

    text: str
    agent: Word
    place: Place
    cut: bool = False
    """Whether the token limit ended it. Prompts say so."""
    shortened: bool = False
    """Whether only its beginning fits the window of the model that reads it. Prompts say so."""


class Answer(Struct, frozen=True):
    """An answer in the pipeline, with its author."""

    text: str
    agent: Word
    place: Place
    cut: bool = False
    """Whether the token limit ended it. Prompts say so."""
    shortened: bool = False
    """Whether only its beginning fits the window of the model that reads it. Prompts say so."""
    comments: tuple[Comment, ...] = ()
    """What agents said about it. Prompts show them beside it; they are not part of it."""
    rank: Placement | None = None
    """How reviewers ranked it. Prompts that merge answers show it."""
    confidence: float | None = None
    """The confidence from 0 to 100 that its author stated; None if it stated none. It is not calibrated."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Its text and those of its comments."""
        return (self.text, *[comment.text for comment in self.comments]) if self.comments else (self.text,)


class Note(Struct, frozen=True):
    """A note for readers of the trace."""

    text: str
    degrades: bool = False
    """Whether it makes the result degraded."""
    saved: int = 0
    """Number of calls that were not needed."""


class State(Struct, frozen=True):
    """The input and output of steps."""

    question: Question
    answers: tuple[Answer, ...] = ()
    notes: tuple[Note, ...] = ()
    """Notes of the step that returned this state."""
    tally: Tally | None = None
    """The count of that step, if it counted."""
    analysis: Analysis | None = None
    """The last comparison of these answers, whichever step made it."""
    review: PeerReview | None = None
    """The review of that step, if it reviewed."""
    verdict: Word = ""
    """What the judge of that step said, in words; empty if it has none."""
    final: bool = False
    """Whether its answer is that of the run, so that the later steps are not needed."""

    def then(
        self,
        answers: tuple[Answer, ...],
        *notes: Note,
        tally: Tally | None = None,
        analysis: Analysis | None = None,
        review: PeerReview | None = None,
        verdict: str = "",
        final: bool = False,
    ) -> State:
        """Return the state after a step, with its answers instead of the previous ones.

        An analysis is kept while the answers are those that it compared, in any order.
        """
        kept = analysis or self.analysis
        if kept is not None and not kept.is_about(tuple(answer.place for answer in answers)):
            kept = None
        return State(self.question, answers, notes, tally, kept, review, verdict, final)
