"""The turn of a step whose answers are JSON by a schema: asks for it, reads the replies, asks again for invalid ones.

Steps do not know of it. The schema is added to the prompts of calls whose replies are answers, and not parts of later
prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import anyio.to_thread
from msgspec.structs import replace

from moa_mcp.engine.turn import ModelTurn, is_final
from moa_mcp.errors import PromptTooLong, StepFailed
from moa_mcp.extraction.confidence import stated
from moa_mcp.schemas import JsonReply, read, sending
from moa_mcp.steps import prompts
from moa_mcp.steps.results import FAULT_CHARACTERS, REPEATS
from moa_mcp.steps.windows import tokens
from moa_mcp.values import Answer, Grace, Message, Note, Request

_NOTED = 300
"""Characters of a note about what is wrong with a reply."""


async def json_of(schema: str, answer: Answer) -> JsonReply:
    """Return the JSON of an answer. It is read in a thread, since a validation may take seconds."""
    found = await anyio.to_thread.run_sync(read, schema, answer.text, abandon_on_cancel=True)
    if found.text is None and answer.cut:
        return JsonReply(None, f"the reply was cut off at the token limit; {found.fault}")
    return found


async def valid_only(schema: str, answers: tuple[Answer, ...]) -> tuple[tuple[Answer, ...], tuple[Note, ...]]:
    """Return the answers without those that are not valid, of which no step may choose one, if others are."""
    found = [await json_of(schema, answer) for answer in answers]
    valid = tuple(each for each, reading in zip(answers, found, strict=True) if reading.text is not None)
    if not valid or len(valid) == len(answers):
        return answers, ()
    wrong = [
        f"{each.agent}: {_short(reading.fault)}"
        for each, reading in zip(answers, found, strict=True)
        if reading.text is None
    ]
    text = f"{len(wrong)} of {len(answers)} answers are left out, since they are not valid JSON ({'; '.join(wrong)})"
    return valid, (Note(text, degrades=True),)


async def is_json(schema: str | None, answer: Answer) -> bool:
    """Return whether an answer is JSON by a schema, and nothing else."""
    return schema is not None and (await json_of(schema, answer)).text == answer.text


async def fault_of_result(schema: str, answers: tuple[Answer, ...]) -> tuple[Note, ...]:
    """Return a note on why the answer of a run is not JSON by its schema; none if it is."""
    if len(answers) != 1:
        return ()
    reading = await json_of(schema, answers[0])
    if reading.text == answers[0].text:
        return ()
    fault = reading.fault or "there is text around the JSON"
    return (Note(f"the answer is not JSON that the answer schema accepts: {_short(fault)}", degrades=True),)


class JsonTurn:
    """A turn whose final replies are read as JSON. An answer that is valid has the JSON as its text."""

    def __init__(self, turn: ModelTurn, schema: str, fallback: str | None) -> None:
        """`fallback` is the model that is called if the step's only model returns nothing valid."""
        self._turn = turn
        self._schema = schema
        self._form = prompts.answer_schema(schema, sending(schema))
        self._size = tokens((Message("system", f"{prompts.IN_JSON}{schema}"),))
        self._fallback = fallback
        self.invalid: Answer | None = None
        """The last reply of the step's only model if it was not valid, for a step whose fallback fails too."""

    @property
    def rng(self) -> Random:
        return self._turn.rng

    def window(self, agent: str) -> int | None:
        window = self._turn.window(agent)
        return None if window is None else window - self._size

    def maker(self, agent: str) -> str | None:
        return self._turn.maker(agent)

    async def ask(
        self,
        requests: Sequence[Request],
        *,
        quorum: int = 1,
        grace_s: Grace | None = None,
        required: bool = True,
        tells_too_long: bool = False,
    ) -> tuple[Answer | None, ...]:
        asked = [self._with_schema(each) if is_final(each) else each for each in requests]
        try:
            replies = await self._turn.ask(
                asked, quorum=quorum, grace_s=grace_s, required=required, tells_too_long=tells_too_long
            )
        except PromptTooLong as error:
            raise PromptTooLong(await self._read(asked, error.replies), error.too_long) from error
        return await self._read(asked, replies)

    def _with_schema(self, request: Request) -> Request:
        return request._replace(messages=prompts.in_json(request.messages, self._schema), reply_schema=self._form)

    async def _read(self, asked: Sequence[Request], replies: Sequence[Answer | None]) -> tuple[Answer | None, ...]:
        """Return the replies as JSON, after asking again for those that are not valid."""
        answers = list(replies)
        wrong: dict[int, str] = {}
        waiting = [at for at, request in enumerate(asked) if is_final(request) and answers[at] is not None]
        for attempt in range(1 + REPEATS):
            if attempt:
                waiting = await self._again(asked, answers, wrong)
            for at in waiting:
                answers[at] = await self._checked(asked[at], answers[at], at, wrong)
            if not wrong or not waiting:
                break
        self._fail(asked, answers, wrong)
        return tuple(answers)

    async def _checked(self, request: Request, reply: Answer | None, at: int, wrong: dict[int, str]) -> Answer | None:
        """Return a reply as JSON, or as it is if it is not valid, which is noted in `wrong`.

        A confidence that it states beside the JSON is kept.
        """
        if reply is None:
            return None
        reading = await json_of(self._schema, reply)
        if reading.text is None:
            wrong[at] = reading.fault
            return reply
        wrong.pop(at, None)
        asks = any(prompts.CONFIDENCE_FORM in message.content for message in request.messages)
        confidence = stated(reply.text).confidence if asks else None
        return replace(reply, text=reading.text, cut=False, confidence=confidence)

    async def _again(self, asked: Sequence[Request], answers: list[Answer | None], wrong: dict[int, str]) -> list[int]:
        """Ask once more for the invalid replies; return the positions of those that came."""
        places = sorted(wrong)
        for at in places:
            self._turn.notes.append(
                Note(f"{asked[at].agent} was asked again: its reply was not valid JSON by the schema")
            )
        requests = [self._correction(asked[at], answers[at], wrong[at]) for at in places]
        fresh = await self._turn.ask(requests, quorum=0, required=False)
        came = [(at, reply) for at, reply in zip(places, fresh, strict=True) if reply is not None]
        for at, reply in came:
            answers[at] = reply
        return [at for at, _ in came]

    def _correction(self, request: Request, reply: Answer | None, fault: str) -> Request:
        """Return the request that asks again. It shows the reply, if that fits the window of the model."""
        shown = fault if len(fault) <= FAULT_CHARACTERS else f"{fault[: FAULT_CHARACTERS - 1]}…"
        messages = prompts.corrected(request.messages, reply.text if reply else "", shown)
        window = self._turn.window(request.agent)
        if window is not None and tokens(messages) + (request.max_tokens or 0) > window:
            messages = prompts.corrected(request.messages, "", shown)
        return request._replace(messages=messages)

    def _fail(self, asked: Sequence[Request], answers: Sequence[Answer | None], wrong: dict[int, str]) -> None:
        """Raise `StepFailed` if the step's only model returned nothing valid, and its fallback may."""
        if len(asked) != 1 or not wrong or self._fallback in {None, asked[0].agent} or self.invalid is not None:
            return
        self.invalid = answers[0]
        raise StepFailed(f"{asked[0].agent} returned no JSON that the answer schema accepts: {_short(wrong[0])}")


def _short(fault: str) -> str:
    return fault if len(fault) <= _NOTED else f"{fault[: _NOTED - 1]}…"
