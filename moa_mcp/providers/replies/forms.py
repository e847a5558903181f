"""Finds the chat completion in a reply without choices: in an envelope, or in the form of another API. Pure.

Only a reply that is not in the usual form comes here.
"""

from __future__ import annotations

from collections.abc import Iterator

from moa_mcp.providers.replies import native, responses_api
from moa_mcp.providers.replies.json_values import Json, as_object

_ENVELOPES = ("data", "result", "response", "completion", "body", "output")
"""Where gateways put a reply."""
_DEPTH = 2


def as_chat(body: Json) -> Json:
    """Return the chat completion that a reply holds; the reply itself if it holds none."""
    for held in _candidates(body, _DEPTH):
        if "choices" in held:
            return held
        chat = responses_api.chat(held) or native.chat(held)
        if chat is not None:
            return chat
    return body


def _candidates(body: Json, depth: int) -> Iterator[Json]:
    yield body
    if depth:
        for name in _ENVELOPES:
            if inner := as_object(body.get(name)):
                yield from _candidates(inner, depth - 1)
