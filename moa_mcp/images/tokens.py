"""How many tokens an image takes, by the documentation of the makers of models. Pure.

A request states no detail or resolution, so each provider uses its default. Where nothing is documented, the upper
bound is that of the models with the most tokens for each image.

Sources, read in 2026-11: platform.claude.com/docs (vision), developers.openai.com/api/docs (images and vision),
ai.google.dev/gemini-api/docs (tokens, media resolution), docs.x.ai (image understanding), Qwen2.5-VL's model card.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import ceil, sqrt
from typing import NamedTuple, TypeAlias

from moa_mcp.images.image import Image

_Formula: TypeAlias = Callable[[int, int], int]
"""Returns the tokens of an image, by width and height."""
_USUAL = (1024, 1024)
"""Assumed width and height of an image at an address, which nothing here downloads."""
_LARGEST = ((8000, 8000), (8000, 3000))
"""The sizes among which an image has the most tokens, whatever the formula."""


class ImageTokens(NamedTuple):
    """The tokens of images."""

    least: int = 0
    expected: int = 0
    most: int = 0


NO_TOKENS = ImageTokens()


def image_tokens(images: Sequence[Image], model: str) -> ImageTokens:
    """Return the tokens of images in a prompt for a model; its name may have the prefix of a provider."""
    if not images:  # as in nearly every call
        return NO_TOKENS
    family = _family(model)
    each = [_tokens(image, family) for image in images]
    return ImageTokens(*(sum(column) for column in zip(NO_TOKENS, *each, strict=True)))


def usual_tokens(images: Sequence[Image]) -> int:
    """Return the expected tokens of images for a model that is not known."""
    return image_tokens(images, "").expected


class _Family(NamedTuple):
    name: re.Pattern[str]
    expected: _Formula
    most: _Formula
    is_documented: bool = True


def _tokens(image: Image, family: _Family) -> ImageTokens:
    if image.is_address:
        return ImageTokens(0, family.expected(*_USUAL), max(family.most(*each) for each in _LARGEST))
    expected, most = (formula(image.width, image.height) for formula in (family.expected, family.most))
    return ImageTokens(expected // 2 if family.is_documented else 0, expected, max(expected, most))


def _family(model: str) -> _Family:
    return next((family for family in _FAMILIES if family.name.search(model.lower())), _OTHER)


def _patches(side: int, limit: int, factor: float = 1.0) -> _Formula:
    """Return the formula of models that see squares with this side, at most `limit` of them."""

    def tokens(width: int, height: int) -> int:
        return ceil(min(ceil(width / side) * ceil(height / side), limit) * factor)

    return tokens


def _openai_tiles(base: int, tile: int) -> _Formula:
    """Return the formula of models that see squares of 512 pixels, after two reductions of the image."""

    def tokens(width: int, height: int) -> int:
        whole = min(1.0, 2048 / max(width, height))
        scale = whole * min(1.0, 768 / (min(width, height) * whole))
        return base + tile * ceil(width * scale / 512) * ceil(height * scale / 512)

    return tokens


def _gemini_tiles(width: int, height: int) -> int:
    if max(width, height) <= 384:  # noqa: PLR2004  as documented
        return 258
    side = min(768.0, max(256.0, min(width, height) / 1.5))
    return 258 * ceil(width / side) * ceil(height / side)


def _grok_tiles(width: int, height: int) -> int:
    tiles = min(6, ceil(width / 448) * ceil(height / 448))
    return 256 * (tiles + 1)


def _pixtral(width: int, height: int) -> int:
    scale = min(1.0, 1024 / max(width, height))
    rows, columns = ceil(height * scale / 16), ceil(width * scale / 16)
    return rows * (columns + 1)


def _within(side: int, formula: _Formula) -> _Formula:
    """Return a formula for images that are reduced to this longest side first."""

    def tokens(width: int, height: int) -> int:
        scale = min(1.0, side / max(width, height), side / sqrt(width * height))
        return formula(ceil(width * scale), ceil(height * scale))

    return tokens


def _same(name: str, formula: _Formula) -> _Family:
    return _Family(re.compile(name), formula, formula)


_FAMILIES = (
    _same(r"claude-(?:3|instant)|claude-(?:opus|sonnet|haiku)-4(?:[-.@][0-6])?(?![-.\d]*[7-9])", _patches(28, 1600)),
    _same(r"claude", _within(2576, _patches(28, 4784))),
    _same(r"gemini-[12][.-]", _gemini_tiles),
    _same(r"gemini", lambda width, height: 1120),  # noqa: ARG005  the default resolution
    _same(r"gpt-4o-mini", _openai_tiles(2833, 5667)),
    _same(r"gpt-4\.1-mini", _patches(32, 1536, 1.62)),
    _same(r"gpt-4\.1-nano", _patches(32, 1536, 2.46)),
    _same(r"gpt-4|chatgpt-4o", _openai_tiles(85, 170)),
    _same(r"o4-mini", _patches(32, 1536, 1.72)),
    _same(r"(?:^|/)o[13]", _openai_tiles(75, 150)),
    _same(r"gpt-5(?:[-.][0-3])?-mini", _patches(32, 1536, 1.62)),
    _same(r"gpt-5(?:[-.][0-3])?-nano", _patches(32, 1536, 2.46)),
    _same(r"gpt-5(?:[-.][0-3])?(?![.\d])", _openai_tiles(70, 140)),
    _Family(re.compile(r"gpt-\d"), _patches(32, 2500), _patches(32, 10_000, 2.46)),
    _same(r"grok", _grok_tiles),
    _same(r"pixtral|mistral", _pixtral),
)
_OTHER = _Family(re.compile(""), _patches(28, 4096), _patches(14, 16_384), is_documented=False)
