"""The messages of Inspect as a question with its system prompt, earlier turns (few-shot examples) and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    Content,
    ContentImage,
    ContentReasoning,
    ContentText,
)
from msgspec import Struct

from moa_mcp.evaluation.inspecting.failures import NotSupported
from moa_mcp.files.images import images_of
from moa_mcp.files.refused import FileRefused
from moa_mcp.text.surrogates import mended
from moa_mcp.values import Image, Message, Question

_NO_TOOLS = "a pipeline calls no tools; evaluate it with a task whose solver uses none, such as generate()"


class ReadMessages(Struct, frozen=True):
    """What the messages of a call mean."""

    question: Question
    without_reasoning: bool
    """Whether the reasoning of earlier answers was left out: models do not get that of others."""

    def asking(self, answer_schema: str | None) -> Question:
        """Return the question with the schema of its answer."""
        return replace(self.question, answer_schema=answer_schema)


def read(messages: Sequence[ChatMessage]) -> ReadMessages:
    """Return the question, which is the last message. System messages, wherever they are, are the system prompt.

    Raises:
        NotSupported: a message can't be sent to the models of a pipeline; says which and why.

    """
    system = [text for each in messages if each.role == "system" and (text := _text(each)).strip()]
    turns = [_turn(number, each) for number, each in enumerate(messages, 1) if each.role != "system"]
    if not turns or turns[-1].role != "user":
        raise NotSupported("the last message should be from the user: it is the question of the pipeline")
    last = turns[-1]
    if not last.content.strip():
        raise NotSupported(f"message {len(messages)}, the question, has no text; write one in the sample's input")
    _check_together(turns)
    question = Question(last.content, system="\n\n".join(system) or None, turns=tuple(turns[:-1]), images=last.images)
    return ReadMessages(question, any(isinstance(part, ContentReasoning) for each in messages for part in _parts(each)))


def _turn(number: int, message: ChatMessage) -> Message:
    calls = isinstance(message, ChatMessageAssistant) and message.tool_calls
    if isinstance(message, ChatMessageTool) or calls:
        raise NotSupported(f"message {number} calls a tool, or has the result of one: {_NO_TOOLS}")
    for part in _parts(message):
        if not isinstance(part, ContentText | ContentImage | ContentReasoning):
            raise NotSupported(
                f"message {number} has a part of the kind {part.type}, which models of a pipeline do not get; "
                "they take text and images"
            )
    images = tuple(_image(number, part.image) for part in _parts(message) if isinstance(part, ContentImage))
    if message.role == "assistant":
        if images:
            raise NotSupported(f"message {number}, of the assistant, has an image; only those of the user can")
        return Message("assistant", _text(message))
    return Message("user", _text(message), images)


def _parts(message: ChatMessage) -> Sequence[Content]:
    return () if isinstance(message.content, str) else message.content


def _text(message: ChatMessage) -> str:
    return mended(message.text)


def _image(number: int, given: str) -> Image:
    """Return an image, which Inspect passes as a data URI."""
    return _images(number, (given,))[0]


def _images(number: int, given: Sequence[str]) -> Sequence[Image]:
    try:
        return images_of(given)
    except FileRefused as error:
        raise NotSupported(f"message {number}: {error}") from error


def _check_together(turns: Sequence[Message]) -> None:
    """Raise `NotSupported` if all images together are too many or too large for a question."""
    _images(len(turns), [image.url for each in turns for image in each.images])
