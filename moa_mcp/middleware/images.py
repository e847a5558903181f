"""Sends each model the images that it takes. Where one is left out, the prompt says so.

Without that line, a model might answer about an image that it never got.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from moa_mcp.errors import ParameterRefused
from moa_mcp.routing.images import takes, takes_images
from moa_mcp.values import Call, Image, Message, images_of

_Reason: TypeAlias = Callable[[Image], str]
"""Returns why an image is not sent; empty if it is."""
_NO_IMAGES = "this model does not take images"
_NO_ADDRESSES = "this model takes no addresses of images"


def suited(call: Call, *, refuses: bool) -> tuple[Call, tuple[str, ...]]:
    """Return a call with the images that its target takes, and a note; `refuses` is whether it rejected images."""
    target = call.target
    if target is None or not images_of(call.messages):
        return call, ()
    if refuses or not takes_images(target):
        call, left_out = _without(call, lambda _: _NO_IMAGES)
        return call, (f"{target.model} does not take images; {_named(left_out)} not sent",)
    call, left_out = _without(call, lambda image: "" if takes(target, image) else _NO_ADDRESSES)
    remedy = f"{target.model} takes no addresses of images; {_named(left_out)} not sent; give the file instead"
    return call, (remedy,) if left_out else ()


def blinded(call: Call, error: ParameterRefused) -> tuple[Call, tuple[str, ...]]:
    """Return a call without the images that its target could not use, and a note."""
    call, left_out = _without(call, lambda _: "the provider could not use it")
    return call, (f"{error}; asked again, {_named(left_out)} not sent",)


def _without(call: Call, reason: _Reason) -> tuple[Call, list[int]]:
    """Return a call without some images, and their numbers, which count from 1 over the whole prompt."""
    messages, left_out, before = list[Message](), list[int](), 0
    for message in call.messages:
        reasons = [reason(image) for image in message.images]
        out = [number for number, why in enumerate(reasons, before + 1) if why]
        lines = [f"[image {number} was not sent: {reasons[number - before - 1]}]" for number in out]
        kept = tuple(image for image, why in zip(message.images, reasons, strict=True) if not why)
        messages.append(_with(message, lines, kept) if lines else message)
        left_out += out
        before += len(message.images)
    return call._replace(messages=tuple(messages)), left_out


def _with(message: Message, lines: Sequence[str], kept: tuple[Image, ...]) -> Message:
    return message._replace(content="\n".join((message.content, "", *lines)), images=kept)


def _named(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"image {numbers[0]} was"
    return f"images {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} were" if numbers else ""
