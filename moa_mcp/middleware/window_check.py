"""Sends no prompt to a route whose context window is too small for it."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from moa_mcp.errors import ContextTooLong
from moa_mcp.model import Model
from moa_mcp.routing import catalog
from moa_mcp.text.tokens import LOWER
from moa_mcp.values import Call, Completion, Message


class WindowChecked:
    """Fails a call without a request if its prompt alone fills the context window.

    A prompt that leaves too little room for the answer is sent: the provider may say how much there is.
    """

    def __init__(self, inner: Model) -> None:
        self._inner = inner
        self._written: tuple[Sequence[Message], int] = ((), 0)
        """The last messages, and their number of characters: the agents of a step get the same ones."""

    def __call__(self, call: Call) -> Coroutine[Any, Any, Completion]:
        window = None if call.target is None else catalog.window_at(call.target)
        if self._written[0] is not call.messages:
            self._written = call.messages, sum([len(message.content) for message in call.messages])
        if window is not None and self._written[1] >= window:
            # no character is more than a token, so that most prompts are not counted
            tokens = LOWER.messages(message.content for message in call.messages)
            if tokens >= window:
                refused = ContextTooLong(
                    f"not sent: the prompt has at least {tokens} tokens, and the context window only {window}; shorten "
                    "the question or its context, choose a model with a larger window, or correct window of its route"
                )
                refused.elsewhere = True  # a later route may have a larger window
                raise refused
        return self._inner(call)
