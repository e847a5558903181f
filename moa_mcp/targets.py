"""Where a call goes: the endpoint of a model, and the parameters that a route or a step sets for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from msgspec import Struct

from moa_mcp.prices import Price

Transport = Literal["openai", "litellm", "command"]


class CallSettings(NamedTuple):
    """The parameters of requests that a step, a member or a route sets. Hashable."""

    reasoning_effort: str | None = None
    thinking_tokens: int | None = None
    """Tokens that the model may spend on reasoning. They count towards the token limit."""
    extra: str | None = None
    """Further parameters, as the text of a JSON object."""


NO_SETTINGS = CallSettings()


class Program(Struct, frozen=True):
    """The program of a command route."""

    words: tuple[str, ...]
    """Its path and arguments."""
    preset: str = ""
    """The name of its preset; empty for other programs."""
    env: tuple[str, ...] = ()
    """Further environment variables that it gets, by name."""
    output: tuple[tuple[str, str], ...] = ()
    """Where its JSON output has the answer, the tokens and the cost: name and path. Empty if it prints plain text."""


@dataclass(frozen=True, slots=True)
class Target:
    """The endpoint of a call: model name, server and API key. Never print or store it as a whole."""

    model: str
    """Model name with the provider's prefix: ``openai/gpt-5-nano``."""
    provider: str
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    price: Price | None = None
    """Price from the configuration."""
    samples: int = field(default=1, compare=False)
    """Maximum number of answers for one request, as documented."""
    wire_model: str | None = None
    """Model name that the server uses, for direct calls to an OpenAI-compatible API; None for calls through litellm."""
    window: int | None = None
    """Context window from the configuration, in tokens."""
    settings: CallSettings = NO_SETTINGS
    """Parameters that replace those of a request."""
    lacks: frozenset[str] = frozenset()
    """Parameters that the model is known to reject."""
    images: bool | None = None
    """Whether it takes images, from the configuration; None if that does not say so."""
    program: Program | None = None
    """The program that answers, for a command route; None for a server."""

    @property
    def transport(self) -> Transport:
        """The client that makes the call."""
        if self.program is not None:
            return "command"
        return "litellm" if self.wire_model is None else "openai"
