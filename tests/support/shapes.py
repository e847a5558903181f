"""The replies in `tests/providers/replies/`: their files (the README there has the form), and the expected results."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from moa_mcp.errors import CallError
from moa_mcp.middleware import Model
from moa_mcp.values import Call, Completion, Message, Place, Target, Transport, Usage
from tests.support.byte_server import Bytes, Framing

FOLDER = Path(__file__).parent.parent / "providers" / "replies"
KEY = "quartz-lantern-meadow-4417"
"""Sent with every request; no message may hold it."""
UNKNOWN = "unknown"
ANYTHING = "anything"
Asked = Literal["whole", "stream"]
_LINE_ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}


class Sent(BaseModel):
    """One reply of a server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body: str = ""
    status: int = 200
    content_type: str | None = None
    """None for the usual one; empty for none at all."""
    headers: Mapping[str, str] = {}
    encoding: str = "utf-8"
    bom: bool = False
    line_ends: Literal["LF", "CRLF", "CR"] = "LF"
    final_newline: bool = True
    framing: Framing = "length"
    piece: Annotated[int, Field(ge=1)] | None = None
    """How many bytes are handed to the network at once."""
    wants: Mapping[str, Any] = {}
    """What the request must hold that is answered so; None for what it must not hold."""

    @property
    def raw(self) -> bytes:
        """The bytes of the body."""
        text = self.body if self.final_newline else self.body.removesuffix("\n")
        text = text.replace("\n", _LINE_ENDS[self.line_ends])
        return (("\ufeff" if self.bom else "") + text).encode(self.encoding)

    def bytes(self, raw: bytes | None = None, pieces: list[bytes] | None = None) -> Bytes:
        """Return the reply as it is sent, or with another body in its place."""
        raw = self.raw if raw is None else raw
        size = self.piece or max(1, len(raw))
        cut = [raw[at : at + size] for at in range(0, len(raw), size)] if pieces is None else pieces
        usual = "text/event-stream" if self.body.lstrip("\ufeff\n ").startswith(_SSE) else "application/json"
        kind = usual if self.content_type is None else self.content_type
        headers = {"Content-Type": kind, **self.headers} if kind else self.headers
        return Bytes(cut, self.status, headers, self.framing)


_SSE = ("data:", "event:", "id:", ":", "retry:")


class Expected(BaseModel):
    """What must come of a shape: an answer, or an error of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str | None = None
    reasoning: str = ""
    finish_reason: Literal["stop", "length", "other"] = "stop"
    others: tuple[str, ...] = ()
    notes_have: tuple[str, ...] = ()
    """None of them means that there is no note."""
    usage: Mapping[str, int] | Literal["unknown"] | None = None
    cost: str | None = None
    """`known`, `unknown`, or the amount in US dollars."""

    error: str | None = None
    """The name of a class."""
    message_has: tuple[str, ...] = ()
    message_lacks: tuple[str, ...] = ()
    retry_after_s: float | None = None
    paid: bool | Literal["unknown"] | None = None
    at_limit: bool | None = None
    parameter: str | None = None
    told: str | None = None
    """What was told of a text that broke off. Of an answer all of it is, unless this says `anything`."""


class Shape(Sent):
    """A file of the corpus."""

    source: Annotated[str, Field(min_length=10)]
    """The public document or report that shows the shape."""
    target: str
    """The model's name, as litellm knows it."""
    over: tuple[Transport, ...] = ("openai",)
    asked: tuple[Asked, ...]
    parameters: Mapping[str, float | int] = {"max_tokens": 512}
    samples: int = 1
    layers: bool = False
    """Whether the call goes through the layers around the client, which ask again."""
    replies: tuple[Sent, ...] = ()
    """One for each request, where there are several."""
    expect: Expected
    name: str = ""

    @property
    def provider(self) -> str:
        """The provider whose reply it is: its folder."""
        return self.name.partition("/")[0]

    @property
    def sent(self) -> tuple[Sent, ...]:
        """All replies, in order."""
        return self.replies or (self,)


@dataclass(frozen=True, slots=True)
class Case:
    """A shape over one transport, asked for in one way."""

    shape: Shape
    over: Transport
    asked: Asked

    def __str__(self) -> str:
        return f"{self.shape.name}[{self.over}-{self.asked}]"

    @property
    def key(self) -> str:
        """What stands for the case in an address."""
        return f"{self.shape.name}-{self.over}-{self.asked}".replace("/", "-")

    def call(self, base: str, heard: list[str]) -> Call:
        """Return the call that is answered from an address; what is told of the text is appended to `heard`."""
        provider, _, name = self.shape.target.partition("/")
        wire_model = name if self.over == "openai" else None
        target = Target(self.shape.target, provider, base, KEY, wire_model=wire_model)
        return Call(
            run_id="run",
            place=Place(1, 1),
            agent="m",
            messages=(Message("system", "Be brief."), Message("user", "Which city?")),
            parameters=self.shape.parameters,
            seed=1,
            target=target,
            samples=self.shape.samples,
            on_text=heard.append if self.asked == "stream" else None,
        )


def shapes() -> Iterator[Shape]:
    """Yield every shape of the corpus, in order of their names."""
    for path in sorted(FOLDER.rglob("*.toml")):
        name = path.relative_to(FOLDER).with_suffix("").as_posix()
        yield Shape(**tomllib.loads(path.read_text("utf-8")), name=name)


def cases() -> list[Case]:
    """Return every shape over each of its transports, asked for in each of its ways."""
    return [Case(shape, over, asked) for shape in shapes() for over in shape.over for asked in shape.asked]


@dataclass(slots=True)
class Outcome:
    """What came of a case."""

    came: Completion | CallError
    heard: list[str] = field(default_factory=list)

    def against(self, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what was expected and what came, as far as the shape speaks of it."""
        if case.shape.expect.error is not None:
            return _failure(case, self)
        return _success(case, self)


async def outcome(model: Model, call: Call, heard: list[str]) -> Outcome:
    """Ask, and return what came."""
    try:
        return Outcome(await model(call), heard)
    except CallError as error:
        return Outcome(error, heard)


def _success(case: Case, outcome: Outcome) -> tuple[dict[str, Any], dict[str, Any]]:
    expected, came = case.shape.expect, outcome.came
    wanted: dict[str, Any] = {
        "text": expected.text,
        "reasoning": expected.reasoning,
        "finish_reason": expected.finish_reason,
        "others": list(expected.others),
        "notes": list(expected.notes_have),
    }
    if case.asked == "stream" and expected.told != ANYTHING:
        wanted["told"] = expected.text
    if expected.usage is not None:
        wanted["usage"] = _wanted_usage(expected.usage)
    if expected.cost is not None:
        wanted["cost"] = expected.cost
    if isinstance(came, CallError):
        return wanted, {"error": came.kind, "message": str(came)}
    found: dict[str, Any] = {
        "text": came.text,
        "reasoning": came.reasoning.strip(),
        "finish_reason": came.finish_reason,
        "others": [other.text for other in came.others],
        "notes": _holding(came.notes, expected.notes_have),
        "told": "".join(outcome.heard),
        "usage": came.usage or UNKNOWN,
        "cost": _cost(came.cost_usd, expected.cost),
    }
    return wanted, {key: found[key] for key in wanted}


def _failure(case: Case, outcome: Outcome) -> tuple[dict[str, Any], dict[str, Any]]:
    expected, came = case.shape.expect, outcome.came
    wanted: dict[str, Any] = {
        "error": expected.error,
        "message": list(expected.message_has),
        "lacks": [KEY, *expected.message_lacks],
    }
    for name in ("retry_after_s", "at_limit", "parameter", "told"):
        if getattr(expected, name) is not None:
            wanted[name] = getattr(expected, name)
    if expected.paid is not None:
        wanted["paid"] = expected.paid
    if expected.usage is not None:
        wanted["usage"] = _wanted_usage(expected.usage)
    if not isinstance(came, CallError):
        return wanted, {"text": came.text, "reasoning": came.reasoning, "finish_reason": came.finish_reason}
    message = str(came)
    found: dict[str, Any] = {
        "error": came.kind,
        "message": _holding([message], expected.message_has),
        "lacks": [each for each in wanted["lacks"] if each not in message],
        "retry_after_s": getattr(came, "retry_after_s", None),
        "at_limit": getattr(came, "at_limit", None),
        "parameter": getattr(came, "parameter", None),
        "told": "".join(outcome.heard),
        "paid": UNKNOWN if came.paid is None else came.paid,
        "usage": came.usage or UNKNOWN,
    }
    return wanted, {key: found[key] for key in wanted}


def _wanted_usage(told: Mapping[str, int] | str) -> Usage | str:
    if isinstance(told, str):
        return told
    names = {"cache_write": "cache_write_tokens", **{n: f"{n}_tokens" for n in ("prompt", "completion", "cached")}}
    names["reasoning"] = "reasoning_tokens"
    return Usage(**{names[name]: value for name, value in told.items()})


def _holding(texts: tuple[str, ...] | list[str], parts: tuple[str, ...]) -> list[str]:
    """Return the parts if each stands in one of the texts, else the texts."""
    whole = "\n".join(texts)
    found = all(part.casefold() in whole.casefold() for part in parts)
    return list(parts) if found and (parts or not isinstance(texts, tuple)) else list(texts)


def _cost(came: Decimal | None, expected: str | None) -> str:
    if came is None:
        return UNKNOWN
    if expected in {"known", "unknown", None}:
        return "known"
    return expected if expected is not None and Decimal(expected) == came else str(came)
