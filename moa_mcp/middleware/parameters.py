"""Adapts rejected requests: drops, renames or limits parameters, and remembers the changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from moa_mcp.errors import (
    AnswerEmpty,
    CallError,
    ContextTooLong,
    ParameterRefused,
    QuotaExceeded,
    RequestRefused,
    SystemRoleRefused,
)
from moa_mcp.middleware.images import blinded, suited
from moa_mcp.middleware.learned import Learned, RefusedParameters
from moa_mcp.middleware.reasoning import fitted, routed
from moa_mcp.model import Model
from moa_mcp.values import IMAGES, TOKEN_LIMITS, Call, Completion, Message, Parameters, images_of, token_limit

_OWN = frozenset({*TOKEN_LIMITS, "temperature", "reasoning_effort", "thinking_tokens"})
_SCHEMA = re.compile(r"\bschema\b", re.IGNORECASE)
_ROUNDS = 8
"""Maximum number of requests for one call."""
_LEAST_ROOM = 32
"""Minimum number of tokens for a useful answer."""
_LEAST_AFFORDABLE = 256
"""Minimum number of tokens that an account must be able to pay for; below that, another route is better."""


class _Room(NamedTuple):
    """A token limit for one call, and why it is not the requested one."""

    tokens: int
    of_credit: bool

    def note(self, model: str, limit: int) -> str:
        why = (
            f"the credit left for {model} pays for {self.tokens} tokens"
            if self.of_credit
            else f"the prompt leaves room for {self.tokens} tokens in the window of {model}"
        )
        return f"{why}, not {limit}; sent {self.tokens} as the limit"


class _Asked(NamedTuple):
    completion: Completion
    sent: Call
    notes: tuple[str, ...]


class _Failed(NamedTuple):
    sent: Call
    error: CallError


class Negotiated:
    """Sends requests that the model accepts. If reasoning used up the token limit, it retries with a larger one."""

    def __init__(self, inner: Model, learned: Learned) -> None:
        self._inner = inner
        self._learned = learned

    async def __call__(self, call: Call) -> Completion:
        refused = self._learned.of(_server(call))
        call, notes = routed(call)
        sent, changes = _sent(call, refused)
        try:
            completion = await self._inner(sent)
        except CallError as error:
            failed = _Failed(sent, error)
        else:
            notes += changes
            return completion.noted(*notes) if notes else completion
        return (await self._again(call, refused, failed)).noted(*notes)

    async def _again(self, call: Call, refused: RefusedParameters, failed: _Failed) -> Completion:
        """Send a call again, changed, after a first failure. Raises `CallError`."""
        try:
            asked = await self._ask(call, refused, failed)
        except AnswerEmpty as error:
            larger = _larger(call)
            if not error.at_limit or token_limit(_sent(larger, refused)[0].parameters) == token_limit(
                _sent(call, refused)[0].parameters
            ):
                raise
            asked = await self._ask(larger, refused)
            note = f"no text within the token limit; retried with {token_limit(asked.sent.parameters)} tokens"
            return asked.completion.noted(*asked.notes, note)
        return asked.completion.noted(*asked.notes)

    async def _ask(self, call: Call, refused: RefusedParameters, failed: _Failed | None = None) -> _Asked:
        """Send the call until it is accepted or can't be changed further. Raises `CallError`.

        `failed` is what came of the first request, if it was sent.
        """
        room: _Room | None = None
        rounds, unseen = 0, list[str]()
        while True:
            rounds += 1
            sent, notes = (failed.sent, ()) if failed is not None else _sent(call, refused, room)
            try:
                if failed is not None:
                    error, failed = failed.error, None
                    raise error
                return _Asked(await self._inner(sent), sent, (*unseen, *notes))
            except (ContextTooLong, QuotaExceeded) as error:
                room = _room(error, sent)
                if room is None or rounds == _ROUNDS:
                    raise
            except RequestRefused as error:
                if isinstance(error, ParameterRefused) and error.parameter == IMAGES and images_of(sent.messages):
                    call, seen = self._learn_images(call, error, refused)
                    unseen += seen
                    if rounds < _ROUNDS:
                        continue
                known = _sent(call, refused, room)[0] != sent  # another call has learned it in the meantime
                if rounds == _ROUNDS or not (known or self._learn(error, sent, refused)):
                    raise

    def _learn_images(
        self, call: Call, error: ParameterRefused, refused: RefusedParameters
    ) -> tuple[Call, tuple[str, ...]]:
        """Learn that a model takes no images, or return the call without those that it could not use, with a note."""
        if error.reason == "value":
            return blinded(call, error)
        refused.images = self._learned.now()
        return call, ()

    def _learn(self, error: CallError, sent: Call, refused: RefusedParameters) -> bool:
        """Learn from a rejection; return whether a changed request may succeed."""
        if isinstance(error, ParameterRefused) and error.parameter == "response_format":
            return self._learn_schema(sent, refused)
        if isinstance(error, ParameterRefused):
            learned = refused.learn(error, sent.parameters, self._learned.now())
            return learned or self._learn_extra(error, sent, refused)
        if not isinstance(error, SystemRoleRefused):
            about_schema = _SCHEMA.search(str(error)) is not None and self._learn_schema(sent, refused)
            return about_schema or self._learn_extra(error, sent, refused)
        if _folded(sent.messages) == sent.messages:
            refused.system = None  # this was not the cause
            return False
        refused.system = self._learned.now()
        return True

    def _learn_schema(self, sent: Call, refused: RefusedParameters) -> bool:
        """Learn that a model rejects the schema of a call; return whether it had one."""
        if sent.reply_schema is not None:
            refused.refuse_schema(sent.reply_schema.name, self._learned.now())
        return sent.reply_schema is not None

    def _learn_extra(self, error: CallError, sent: Call, refused: RefusedParameters) -> bool:
        """Learn from a rejection that names a parameter of `extra`; return whether it does."""
        name = _extra_named(str(error).replace(_server(sent)[0], ""), sent.parameters)
        if name is not None:
            refused.learn(ParameterRefused(str(error), parameter=name), sent.parameters, self._learned.now())
        return name is not None


def _extra_named(message: str, parameters: Parameters) -> str | None:
    """Return the parameter without a key of its own that a message names; None if it names none.

    A name that is also a word, such as ``stop``, counts in quotes, before a colon, or after a word for parameter.
    """
    for name in parameters.keys() - _OWN:
        spelling = re.escape(name).replace("_", "_?")
        quoted = rf"""['"`\[.]{spelling}['"`\]]|\b{spelling}\s*:"""
        marked = rf"{quoted}|(?:parameter|argument|field|property|supplied)\W{{1,3}}{spelling}\b"
        if re.search(rf"\b{spelling}\b" if "_" in name else marked, message, re.IGNORECASE):
            return name
    return None


def _server(call: Call) -> tuple[str, str | None]:
    return (call.target.model, call.target.api_base) if call.target else (call.agent, None)


def _sent(call: Call, refused: RefusedParameters, room: _Room | None = None) -> tuple[Call, tuple[str, ...]]:
    """Return a call that its model accepts, with notes about the changes."""
    if room is None and not refused:
        return suited(call, refuses=False)  # the usual case
    model = _server(call)[0]
    parameters, notes = refused.adapt(model, call.parameters)
    call, images = suited(call._replace(parameters=parameters), refuses=refused.images is not None)
    notes += images
    if call.reply_schema is not None and call.reply_schema.name in refused.reply_schemas:
        call = call._replace(reply_schema=None)
        notes += (f"{model} does not take response_format; left out",)
    if refused.system is not None and (folded := _folded(call.messages)) != call.messages:
        call = call._replace(messages=folded)
        notes += (f"{model} does not take system messages; sent its text in the user message",)
    limit = token_limit(call.parameters)
    if room is not None and limit is not None and room.tokens < limit:
        call = _limited(call, room.tokens)
        notes += (room.note(model, limit),)
    call, fewer = fitted(model, call)
    return call, notes + fewer


def _folded(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return messages with the system prompt in the first user message, and with alternating roles."""
    system = [each.content for each in messages if each.role == "system"]
    turns = [each for each in messages if each.role != "system"]
    if system:
        turns.insert(0, Message("user", "\n\n".join(system)))
    folded: list[Message] = []
    for turn in turns:
        if folded and folded[-1].role == turn.role:
            before = folded[-1]
            folded[-1] = Message(turn.role, f"{before.content}\n\n{turn.content}", (*before.images, *turn.images))
        else:
            folded.append(turn)
    return tuple(folded)


def _limited(call: Call, most: int) -> Call:
    return _with_limit(call, lambda limit: min(most, limit))


def _larger(call: Call) -> Call:
    return _with_limit(call, lambda limit: min(4 * limit, max(16_384, limit)))


def _with_limit(call: Call, change: Callable[[int], int]) -> Call:
    limit = token_limit(call.parameters)
    if limit is None:
        return call
    changed = change(limit)
    return call._replace(
        parameters={key: changed if key in TOKEN_LIMITS else value for key, value in call.parameters.items()}
    )


def _room(error: ContextTooLong | QuotaExceeded, sent: Call) -> _Room | None:
    """Return the token limit with which the call may fit or be paid for; None if the error suggests none."""
    limit = token_limit(sent.parameters)
    if limit is None:
        return None
    if isinstance(error, QuotaExceeded):
        affordable = error.affordable or 0
        return _Room(affordable, of_credit=True) if _LEAST_AFFORDABLE <= affordable < limit else None
    if error.room is None:
        return None
    room = error.room if error.room < limit else limit // 2  # some servers stop counting at their limit
    return _Room(room, of_credit=False) if room >= _LEAST_ROOM else None
