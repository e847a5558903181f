"""Remembers which parameters models reject, by server and model. Entries expire, because providers change.

It makes no requests: `negotiated` does, and reports the rejections here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias, TypeGuard

from msgspec import Struct, field
from msgspec.structs import replace
from pydantic import JsonValue

from moa_mcp.errors import Bounds, ParameterRefused
from moa_mcp.middleware.efforts import below, nearest
from moa_mcp.values import TOKEN_LIMITS, Parameters, token_limit

FORGOTTEN_S = 3600.0
_MOST_SCHEMAS = 200
_STEP = 0.01
"""Distance to an exclusive bound."""
_USUAL: Mapping[str, float] = {"temperature": 1.0, "top_p": 1.0}
"""Replaces a value that is too large if the provider states no bound."""

_EFFORT = "reasoning_effort"
_THINKS = re.compile(r"(?:when|while|with|if) (?:extended )?(?:thinking|reasoning)", re.IGNORECASE)
_REASONING = (_EFFORT, "thinking_tokens")
_USUAL_EFFORTS = ("low", "medium", "high")
"""Replace a rarer effort if the provider does not list what it takes."""

Server: TypeAlias = tuple[str, str | None]
"""A model name and the address of its server."""


class Adapted(NamedTuple):
    """Parameters that a model accepts, and notes about the changes."""

    parameters: Parameters
    notes: tuple[str, ...]


class _Crowded(NamedTuple):
    at: float
    """Time of the rejection."""
    limit: int
    """Token limit of the rejected request."""


class _Rule(Struct, frozen=True):
    """The change of one parameter."""

    at: float
    """Time of the rejection."""
    left_out: bool = False
    beside: str = ""
    """Drop the parameter only beside this one; empty if it is always dropped."""
    instead: str | None = None
    """The name to use instead."""
    least: float | None = None
    most: float | None = None
    words: tuple[str, ...] = ()
    """The accepted words; empty if they are not known."""
    guessed: bool = False
    """Whether bound or words are a guess, because the provider did not state them."""

    def value(self, asked: JsonValue) -> JsonValue:
        """Return the value to send instead."""
        if isinstance(asked, str):
            return nearest(asked, self.words) or asked
        if not _is_number(asked):
            return asked
        sent = asked if self.least is None else max(asked, self.least)
        sent = sent if self.most is None else min(sent, self.most)
        return int(sent) if isinstance(asked, int) and float(sent).is_integer() else sent


class RefusedParameters(Struct):
    """What one model rejects on one server."""

    rules: dict[str, _Rule] = field(default_factory=dict[str, _Rule])
    system: float | None = None
    """Time at which the model rejected a system message; None if it accepts them as far as known."""
    images: float | None = None
    """Time at which the model rejected images; None if it accepts them as far as known."""
    reply_schemas: dict[str, float] = field(default_factory=dict[str, float])
    """By name of a reply schema: the time at which the model rejected it."""
    crowded: dict[str, _Crowded] = field(default_factory=dict[str, _Crowded])
    """By reasoning effort: the largest token limit that left no room for it."""

    def __bool__(self) -> bool:
        named = self.rules or self.crowded or self.reply_schemas
        return bool(named) or self.system is not None or self.images is not None

    def adapt(self, model: str, parameters: Parameters) -> Adapted:
        """Return the parameters that the model accepts, with notes about the changes."""
        adapted: dict[str, JsonValue] = {}
        notes: list[str] = []
        for key, asked in parameters.items():
            rule = self.rules.get(key)
            if rule is None or (rule.beside and rule.beside not in parameters):
                adapted[key] = asked
                continue
            sent = rule.value(asked)
            if not rule.left_out:
                adapted[rule.instead or key] = sent
            notes += _told(model, key, asked, rule, sent)
        notes += self._make_room(model, adapted)
        return Adapted(adapted, tuple(notes))

    def _make_room(self, model: str, parameters: dict[str, JsonValue]) -> Iterator[str]:
        """Lower an effort that needs more tokens than the limit allows; yield a note about it."""
        asked, limit = parameters.get(_EFFORT), token_limit(parameters)
        if not self.crowded or not isinstance(asked, str) or limit is None:
            return
        effort: str | None = asked
        while effort in self.crowded and limit <= self.crowded[effort].limit:
            effort = below(effort)
        if effort == asked:
            return
        parameters.update({_EFFORT: effort})
        if effort is None:
            del parameters[_EFFORT]
        done = f"sent {effort}" if effort else "left out"
        yield f"{model} has no room for {_EFFORT} = {asked} within {limit} tokens; {done}; raise max_tokens for more"

    def learn(self, error: ParameterRefused, sent: Parameters, now: float) -> bool:
        """Learn from a rejection; return whether a changed request may succeed."""
        key, name = self._named(error.parameter, sent)
        if not name:
            return False
        if error.reason == "room":
            return self._learn_room(name, sent, now)
        if error.reason == "together" and {"temperature", "top_p"} <= sent.keys():
            self.rules["top_p"] = _Rule(now, left_out=True, beside="temperature")
            return True
        if (beside := _reasoning_beside(error, name, sent)) is not None:
            self.rules[key] = _Rule(now, left_out=True, beside=beside)
            return True
        before = self.rules.get(key) or _Rule(now)
        before = before if before.beside in {"", *sent} else _Rule(now)
        rule = (
            _other_value(error, name, sent[name], before) if error.reason == "value" else _unknown(error, name, before)
        )
        if rule is not None:
            self.rules[key] = replace(rule, at=now)
        elif before.guessed:
            del self.rules[key]
        return rule is not None

    def _learn_room(self, name: str, sent: Parameters, now: float) -> bool:
        effort, limit = sent[name], token_limit(sent)
        if isinstance(effort, str) and limit is not None:
            self.crowded[effort] = _Crowded(now, limit)
        else:
            self.rules[name] = _Rule(now, left_out=True)
        return True

    def refuse_schema(self, name: str, now: float) -> None:
        """Learn that the model rejects a reply schema. Each user has others, so the oldest are forgotten."""
        self.reply_schemas[name] = now
        while len(self.reply_schemas) > _MOST_SCHEMAS:
            del self.reply_schemas[next(iter(self.reply_schemas))]

    def forget(self, before: float) -> None:
        """Drop everything that was learned before this time."""
        self.crowded = {effort: each for effort, each in self.crowded.items() if each.at >= before}
        self.rules = {key: rule for key, rule in self.rules.items() if rule.at >= before}
        self.system = None if self.system is None or self.system < before else self.system
        self.images = None if self.images is None or self.images < before else self.images
        self.reply_schemas = {name: at for name, at in self.reply_schemas.items() if at >= before}

    def _named(self, refused: str, sent: Parameters) -> tuple[str, str]:
        """Return the original and the sent name of a rejected parameter; empty if it was not sent.

        All names of the token limit count as one, because some servers report another name than they got. So do those
        of reasoning, which gateways translate.
        """
        family = next((each for each in (TOKEN_LIMITS, _REASONING) if refused in each), ())
        alike = [name for name in sent if name in family]
        name = refused if refused in sent else next(iter(alike), "")
        return next((key for key, rule in self.rules.items() if rule.instead == name), name), name


def _reasoning_beside(error: ParameterRefused, name: str, sent: Parameters) -> str | None:
    """Return the reasoning parameter beside which another one is refused; None if it is refused without it, too."""
    if name in _REASONING or name in TOKEN_LIMITS or _THINKS.search(str(error)) is None:
        return None
    return next((each for each in _REASONING if each in sent), None)


def _unknown(error: ParameterRefused, name: str, before: _Rule) -> _Rule | None:
    """Return the change for an unknown parameter; None if there is none."""
    instead = None if error.instead == name else error.instead
    if name not in TOKEN_LIMITS:
        return replace(before, left_out=instead is None, instead=instead)
    instead = instead or ("max_completion_tokens" if name == "max_tokens" else "max_tokens")
    return None if before.instead else replace(before, instead=instead)


def _other_value(error: ParameterRefused, name: str, value: JsonValue, before: _Rule) -> _Rule | None:
    """Return the change for a value that is not accepted; None if there is none."""
    if _is_number(value):
        return _bound(error, name, value, before)
    if not isinstance(value, str):
        return replace(before, left_out=True)
    if value not in error.words and nearest(value, error.words) is not None:
        return replace(before, words=error.words, guessed=False)
    if name != _EFFORT or value in {"none", *_USUAL_EFFORTS} or before.words:
        return replace(before, left_out=True)
    return replace(before, words=_USUAL_EFFORTS, guessed=True)


def _is_number(value: JsonValue) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bound(error: ParameterRefused, name: str, value: float, before: _Rule) -> _Rule | None:
    """Return the bounds for a value, or a guess if none is stated; None if that failed too."""
    for bounds in error.bounds:
        least, most = _within(bounds, _STEP if name in _USUAL else 1.0)
        if least is not None and most is not None and least > most:
            continue
        if most is not None and value > most and (most >= 1 or name not in TOKEN_LIMITS):
            return replace(before, least=least, most=most, guessed=False)
        if least is not None and value < least:
            return replace(before, least=least, most=most, guessed=False)
    if name in TOKEN_LIMITS:
        return None if before.guessed or value <= 1 else replace(before, most=float(value // 2), guessed=True)
    usual = _USUAL.get(name)
    if usual is None or value <= usual or before.guessed:
        return replace(before, left_out=True)
    return replace(before, most=usual, guessed=True)


def _within(bounds: Bounds, step: float) -> tuple[float | None, float | None]:
    """Return the minimum and maximum that can be sent."""
    least = bounds.least if bounds.least is None or not bounds.least_excluded else bounds.least + step
    most = bounds.most if bounds.most is None or not bounds.most_excluded else bounds.most - step
    return least, most


def _told(model: str, key: str, asked: JsonValue, rule: _Rule, sent: JsonValue) -> list[str]:
    if rule.left_out:
        return [
            f"{model} does not take {key}" + (f" together with {rule.beside}" if rule.beside else "") + "; left out"
        ]
    name = f" as {rule.instead}" if rule.instead else ""
    if sent == asked:
        return [f"{model} does not take {key}; sent{name}"] if rule.instead else []
    if rule.guessed:
        return [f"{model} does not take {_shown(asked)} for {key}, nor says what it takes; sent {_shown(sent)}{name}"]
    if not (_is_number(sent) and _is_number(asked)):
        return [f"{model} takes {', '.join(rule.words)} for {key}, not {_shown(asked)}; sent {_shown(sent)}{name}"]
    way = "at most" if sent < asked else "at least"
    return [f"{model} takes {way} {_shown(sent)} for {key}, not {_shown(asked)}; sent {_shown(sent)}{name}"]


def _shown(value: JsonValue) -> str:
    if not _is_number(value):
        return str(value)
    return str(int(value)) if float(value).is_integer() else f"{value:.6g}"


class Learned:
    """What the models of a process reject."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._refused: dict[Server, RefusedParameters] = {}

    def of(self, server: Server) -> RefusedParameters:
        """Return what a model rejects on a server; the caller may add to it."""
        refused = self._refused.get(server)
        if refused is None:
            refused = self._refused[server] = RefusedParameters()
        elif refused:
            refused.forget(self._now() - FORGOTTEN_S)
        return refused

    def now(self) -> float:
        """Return the current time of its clock."""
        return self._now()
