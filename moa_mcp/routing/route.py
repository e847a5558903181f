"""The route of a model alias: an endpoint that serves it, as the configuration describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from moa_mcp.parameters import Effort, Extra, ThinkingTokens
from moa_mcp.routing import addresses, catalog, commands, credentials
from moa_mcp.routing.hosts import base_at, host
from moa_mcp.routing.local import LOCAL
from moa_mcp.routing.prices import PerMillion
from moa_mcp.text.redact import redact
from moa_mcp.values import Transport

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PROVIDERS = frozenset({*credentials.KEYS, *LOCAL, commands.PROVIDER})


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


class Route(BaseModel):
    """An endpoint that serves a model alias: a model of a provider, or a program."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: Annotated[str, Field(min_length=1)]
    """The name of the model as litellm writes it, ``provider/model``; for a program ``command/program``."""
    api_base: Annotated[str, Field(pattern=r"^https?://"), BeforeValidator(_stripped)] | None = None
    """Address of an OpenAI-compatible server: vLLM, llama.cpp, LM Studio, Ollama, a gateway."""
    api_key_env: Annotated[str, Field(min_length=1)] | None = None
    """The environment variable that holds the key. A route with an `api_base` can do without one."""
    usd_per_million: PerMillion | None = None
    """Token prices, if litellm's table lacks them or is wrong; 0 for your server."""
    window: Annotated[int, Field(ge=1)] | None = None
    """Context window in tokens, prompt and answer together, if litellm's table lacks it or is wrong."""
    n: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of answers per request (the API's `n`), if the default for the provider is wrong."""
    reasoning_effort: Effort | None = None
    """Replaces that of the steps and their members."""
    thinking_tokens: ThinkingTokens | None = None
    """Tokens for reasoning, a part of `max_tokens`, if the provider counts them. Replaces that of the steps."""
    extra: Extra | None = None
    """Further parameters of the provider."""
    lacks: commands.Variables = ()
    """Parameters that the model rejects, such as `temperature`. They are not sent."""
    images: bool | None = None
    """Whether the model takes images, if what is known of it is missing or wrong."""
    command: commands.Words | None = None
    """A program that answers, with its arguments, instead of a model. It gets the prompt on standard input."""
    input: Literal["stdin"] | None = None
    """How the program gets the prompt. There is only one way."""
    output: Literal["text"] | commands.JsonOutput | None = None
    """What the program prints. Default: as its preset documents it, else the answer as plain text."""
    env: commands.Variables = ()
    """Environment variables that the program gets besides the usual ones, by name."""

    @model_validator(mode="before")
    @classmethod
    def _is_named(cls, values: object) -> object:
        return commands.named(values)

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        server = {
            "api_base": self.api_base,
            "api_key_env": self.api_key_env,
            "n": self.n,
            "reasoning_effort": self.reasoning_effort,
            "thinking_tokens": self.thinking_tokens,
            "extra": self.extra,
            "lacks": self.lacks or None,
            "images": self.images,
        }
        program = {"input": self.input, "output": self.output, "env": self.env or None}
        if self.command is None and (named := _given(program)):
            raise ValueError(f"{named} applies only to a route with a command; remove it")
        if self.command is not None and (named := _given(server)):
            raise ValueError(f"{named} does not apply to a route with a command; remove it")
        return self

    @field_validator("command")
    @classmethod
    def _is_command(cls, words: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if words is None else commands.checked(words)

    @field_validator("env")
    @classmethod
    def _are_variables(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return commands.checked_variables(names)

    @field_validator("api_base")
    @classmethod
    def _is_base(cls, value: str | None) -> str | None:
        problem = "" if value is None else addresses.problem(value)
        if problem == addresses.BARE:
            raise ValueError(f"should be an address {problem}; set api_key_env to the variable with the key")
        if problem:
            raise ValueError(f"{redact(value or '')!r} should be an address {problem}")
        return None if value is None else full_base(value)

    @field_validator("api_key_env")
    @classmethod
    def _is_no_key(cls, value: str | None) -> str | None:
        if value is not None and (not _VARIABLE.fullmatch(value) or redact(value, {}) != value):
            raise ValueError("should name the variable that holds the key, such as OPENAI_API_KEY, not the key itself")
        return value

    @property
    def provider(self) -> str:
        """The provider of the model; empty if neither the prefix nor litellm's table names one."""
        if self.command is not None:
            return commands.PROVIDER
        prefix, slash, _ = self.model.partition("/")
        return prefix if slash and prefix in PROVIDERS else catalog.provider_of(self.model) or (prefix if slash else "")

    @property
    def transport(self) -> Transport:
        """Whether calls go directly to an OpenAI-compatible API, through litellm, or to a program."""
        if self.command is not None:
            return "command"
        direct = self.api_base is not None or self.provider in LOCAL or host(self.provider) is not None
        return "openai" if direct else "litellm"

    @property
    def key_names(self) -> tuple[tuple[str, ...], ...]:
        """The sets of variables of which each gives access to the route; empty if it needs none."""
        if self.api_key_env is not None:
            return ((self.api_key_env,),)
        keyless = self.api_base is not None or self.provider in {*LOCAL, commands.PROVIDER}
        return () if keyless else credentials.alternatives(self.provider)

    def __str__(self) -> str:
        return f"{self.model} at {redact(self.api_base)}" if self.api_base else self.model


def _given(keys: Mapping[str, object]) -> str:
    """Return the first key that has a value; empty if none has."""
    return next((name for name, value in keys.items() if value is not None), "")


def full_base(written: str) -> str:
    """Return the base address of requests, for an address in any of the usual spellings."""
    address = addresses.trimmed(written)
    bare = not urlsplit(address).path
    return (base_at(address) if bare else address) or addresses.base(address)


def is_route(model: str) -> bool:
    """Whether a model name is a route, which needs no alias: ``openai/gpt-5-nano`` or ``command/claude``."""
    provider, _, name = model.partition("/")
    return name in commands.PRESETS if provider == commands.PROVIDER else provider in PROVIDERS and bool(name)


RouteEntry = Annotated[Route, BeforeValidator(lambda value: {"model": value} if isinstance(value, str) else value)]
