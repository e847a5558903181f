"""What of an answer is counted, and when a count is settled; for the steps that count without a model."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from moa_mcp import tally
from moa_mcp.steps.step import Frozen
from moa_mcp.values import Note


class JsonField(Frozen):
    """Extract the value of a field of the JSON object in an answer."""

    json_name: Annotated[str, Field(min_length=1)] = Field(alias="json")


class Pattern(Frozen):
    """Extract what a regular expression matches last: its first group, or all of it."""

    regex: Annotated[str, Field(min_length=1)]


Extractor: TypeAlias = Literal["text", "last_number", "choice"] | JsonField | Pattern


def extract(extractor: Extractor) -> tally.Extract:
    """Return the function that extracts."""
    if isinstance(extractor, JsonField):
        return tally.json_field(extractor.json_name)
    if isinstance(extractor, Pattern):
        return tally.pattern(extractor.regex)
    named = {"text": tally.whole_text, "last_number": tally.last_number, "choice": tally.choice_letter}
    return named[extractor]


def compilable(extractor: Extractor) -> Extractor:
    """Return the extractor. Raises `ValueError` if its regular expression is none."""
    if isinstance(extractor, Pattern):
        try:
            re.compile(extractor.regex)
        except re.error as error:
            raise ValueError(f"{extractor.regex!r} is not a regular expression: {error}") from error
    return extractor


def described(extractor: Extractor) -> str:
    """Return the extractor as the configuration writes it."""
    if isinstance(extractor, JsonField):
        return f'extract = {{ json = "{extractor.json_name}" }}'
    if isinstance(extractor, Pattern):
        return f"extract = {{ regex = '{extractor.regex}' }}"
    return f'extract = "{extractor}"'


def short(value: str, limit: int = 60) -> str:
    """Return a value as a note shows it."""
    return repr(value if len(value) <= limit else value[: limit - 1] + "…")


def stopped(made: int, planned: int, leader: str, by: int) -> Note:
    """Return what is to be said when not all calls were made."""
    saved = planned - made
    text = f"stopped after {made} of {planned} calls: {leader} leads by {by}; {saved} calls saved"
    return Note(text, saved=saved)


class Ahead(Frozen):
    """When no more calls are made: one outcome is so far ahead of the second."""

    ahead_by: Annotated[int, Field(ge=1)]

    def next_wave(self, lead: tally.Lead, left: int, least: int = 0) -> int:
        """Return how many of the calls that are `left` the leader needs at least, or `least`."""
        return min(left, max(self.ahead_by - lead.by, least, 0))


class Stop(Ahead):
    """When no more calls are made, and what of the answers is compared."""

    extract: Extractor = "text"

    @field_validator("extract")
    @classmethod
    def _can_be_extracted(cls, value: Extractor) -> Extractor:
        return compilable(value)
