"""Finds the chat completion in a reply without choices: in an envelope, or in the format of another API. Pure.

Only used for replies in an unusual format.
"""

from __future__ import annotations

from collections.abc import Iterator

from moa_mcp.providers.replies import native, responses_api
from moa_mcp.providers.replies.json_values import Json, as_object

_ENVELOPES = ("data", "result", "response", "completion", "body", "output")
"""Fields in which gateways wrap a reply."""
_DEPTH = 2


def as_chat(body: Json) -> Json:
    """Return the chat completion in a reply; the reply itself if it contains none."""
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
