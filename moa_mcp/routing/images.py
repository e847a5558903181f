"""Which images a target takes: by its configuration, litellm's table, and the names of models.

Most servers reject images that they do not take, at no cost, which `middleware` learns. So a model of which nothing is
known gets them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from moa_mcp.images import Image
from moa_mcp.images.tokens import ImageTokens, image_tokens
from moa_mcp.routing import catalog
from moa_mcp.values import Target

SIMULATED = "simulated"
_SEES = re.compile(
    r"claude-(?!instant|v\d|2)|gpt-4o(?!.*audio)|gpt-4\.1|gpt-4-turbo|gpt-[5-9]|gemini|gemma-?3(?!n|:1b|:270m|-1b|-270m)|"
    r"grok-(?:[4-9]|2-vision)|llama-?4|pixtral|llava|moondream|minicpm-v|internvl|vision|[-.\d]vl\b|[-_]vl[-_:]|omni",
    re.IGNORECASE,
)
"""Models that take images, and that the table may lack."""
_BLIND = re.compile(
    r"deepseek-(?:r1|v3|chat|reasoner|coder)|gpt-(?:oss|3\.5)|qwen-?(?:2\.5|3)(?![.\d])(?!.*(?:vl|omni|vision))|"
    r"llama-?3(?:\.[13])?(?![.\d])(?!.*vision)|gemma-?2|phi-?[34](?!.*(?:vision|multimodal))|mixtral|"
    r"gemma-?3[:-](?:1b|270m)|mistral(?:-7b|:|-nemo)|codestral|codellama|starcoder",
    re.IGNORECASE,
)
"""Models that take no images: a local server may drop them without a word."""
_PASSED_ON = frozenset({"anthropic", "azure", "azure_ai", SIMULATED})
"""Providers to which litellm passes on an address. For others it would download the image, which must not happen: the
address may lead into the network of this machine."""
_BASE64_ONLY = frozenset({"ollama", "lm_studio"})
"""Servers that read images only from data URIs."""


def takes_images(target: Target) -> bool:
    """Return whether a target may take images; False only if it is known not to."""
    if target.images is not None:
        return target.images
    if target.program is not None:
        return False
    known = catalog.takes_images(target.model)
    if known is not None or target.provider == SIMULATED:
        return known is not False
    if _SEES.search(target.model):
        return True
    return not (catalog.is_described(target.model) or _BLIND.search(target.model))


def takes(target: Target, image: Image) -> bool:
    """Return whether a target may take this image."""
    return takes_images(target) and not (image.is_address and _needs_file(target))


def tokens_at(target: Target | None, images: Sequence[Image]) -> ImageTokens:
    """Return the tokens of the images among these that a target takes."""
    if target is None:
        return image_tokens(images, "")
    return image_tokens([image for image in images if takes(target, image)], target.model)


def _needs_file(target: Target) -> bool:
    if target.transport == "litellm":
        return target.provider not in _PASSED_ON
    return target.provider in _BASE64_ONLY
