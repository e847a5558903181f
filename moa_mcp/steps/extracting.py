"""Which value to extract from an answer, and when to stop early; for the steps that count votes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Protocol, TypeAlias

import anyio.to_thread
from pydantic import Field, ValidationInfo, field_validator

from moa_mcp.extraction.fields import json_field
from moa_mcp.extraction.numerals import DecimalMark
from moa_mcp.extraction.patterns import TIME_LIMIT_S, PatternTooSlow, fault_of, last_match
from moa_mcp.extraction.texts import whole_text
from moa_mcp.steps import tally
from moa_mcp.steps.posterior import groups, probability
from moa_mcp.steps.step import Frozen, numbered
from moa_mcp.text.surrogates import mended
from moa_mcp.values import Answer, Note


class JsonField(Frozen):
    """Extract the value of a field of the JSON object in an answer."""

    json_name: Annotated[str, Field(min_length=1)] = Field(alias="json")


class Pattern(Frozen):
    """Extract the last match of a regular expression: its first group if it has one, else all of it."""

    regex: Annotated[str, Field(min_length=1)]


Extractor: TypeAlias = Literal["text", "last_number", "choice"] | JsonField | Pattern


class Counts(Protocol):
    """The settings of an extraction."""

    @property
    def extract(self) -> Extractor: ...
    @property
    def decimal(self) -> DecimalMark | None: ...


class Extracted(NamedTuple):
    """The values of answers, in their order; None for an answer without a value."""

    values: tuple[str | None, ...]
    notes: tuple[Note, ...] = ()


async def extract(how: Counts, answers: Sequence[Answer], *, counted: int = 0) -> Extracted:
    """Return the values of answers. Notes number the answers from `counted` + 1."""
    return await values_of(how, [answer.text for answer in answers], counted=counted)


async def values_of(how: Counts, texts: Sequence[str], *, counted: int = 0) -> Extracted:
    """Return the values of the texts of answers, as `extract` does.

    An extraction that may take long runs in a thread.
    """
    if not isinstance(how.extract, Pattern) and sum(map(len, texts)) <= _SHORT:
        return _extracted(how, texts, counted)
    return await anyio.to_thread.run_sync(_extracted, how, texts, counted, abandon_on_cancel=True)


def _extracted(how: Counts, texts: Sequence[str], counted: int) -> Extracted:
    values: list[str | None] = []
    slow: list[int] = []
    for number, text in enumerate(texts, counted + 1):
        try:
            value = value_of(how, text)
            values.append(None if value is None else mended(value))  # JSON can name lone surrogates
        except PatternTooSlow:
            values.append(None)
            slow.append(number)
    if not slow:
        return Extracted(tuple(values))
    which = f"on answers {numbered(slow)}; these count as abstentions"
    return Extracted(tuple(values), (Note(f"the regex took longer than {TIME_LIMIT_S:g} s {which}"),))


def value_of(how: Counts, text: str) -> str | None:
    """Return the value of a text; None if it has none. Raises `PatternTooSlow`."""
    match how.extract:
        case JsonField(json_name=name):
            return json_field(text, name)
        case Pattern(regex=regex):
            return last_match(text, regex)
        case "last_number":
            from moa_mcp.extraction.numbers import last_number  # noqa: PLC0415  late: see `moa_mcp.extraction`

            return last_number(text, how.decimal or "point")
        case "choice":
            from moa_mcp.extraction.choices import choice_letter  # noqa: PLC0415

            return choice_letter(text)
        case "text":  # exhaustive
            return whole_text(text)


def compilable(extractor: Extractor) -> Extractor:
    """Return the extractor. Raises `ValueError` if its regular expression is invalid."""
    if isinstance(extractor, Pattern) and (fault := fault_of(extractor.regex)):
        raise ValueError(f"{extractor.regex!r} is not a regular expression: {fault}")
    return extractor


def of_numbers(decimal: DecimalMark | None, extractor: Extractor | None) -> DecimalMark | None:
    """Return the decimal mark. Raises `ValueError` if the extractor is known and reads no numbers."""
    if decimal is not None and extractor not in {"last_number", None}:
        raise ValueError('is only used with extract = "last_number"; remove it, or set that extract')
    return decimal


def described(extractor: Extractor) -> str:
    """Return the extractor as the configuration writes it."""
    if isinstance(extractor, JsonField):
        return f'extract = {{ json = "{extractor.json_name}" }}'
    if isinstance(extractor, Pattern):
        return f"extract = {{ regex = '{extractor.regex}' }}"
    return f'extract = "{extractor}"'


_SHORT = 20_000
"""Largest number of characters to process without a thread; takes a few milliseconds."""


def short(value: str, limit: int = 60) -> str:
    """Return a value for a note, cut to `limit` characters."""
    return repr(value if len(value) <= limit else value[: limit - 1] + "…")


def stopped(made: int, planned: int, leader: str, stop: Ahead, values: Sequence[str | None]) -> Note:
    """Return the note of an early stop."""
    saved = planned - made
    calls = "1 call" if saved == 1 else f"{saved} calls"
    return Note(f"stopped after {made} of {planned} calls: {leader} {stop.why(values)}; {calls} saved", saved=saved)


class Ahead(Frozen):
    """Stop early if one value leads the second by `ahead_by` votes, or is probably the most frequent one."""

    ahead_by: Annotated[int, Field(ge=1)] | None = None
    """How many votes one value must lead by."""
    posterior: Annotated[float, Field(ge=0.5, lt=1)] | None = Field(default=None, validate_default=True)
    """The probability that the leading value is the most frequent one of all answers, such as 0.95, in place of
    `ahead_by` (after Huang et al. 2026, arXiv 2602.05395, with a uniform prior)."""

    @field_validator("posterior")
    @classmethod
    def _one_of_two(cls, value: float | None, info: ValidationInfo) -> float | None:
        ahead_by = info.data.get("ahead_by", 0)
        if value is None and ahead_by is None:
            raise ValueError("is missing; set ahead_by or posterior")
        if value is not None and ahead_by:
            raise ValueError(f"{value:g} can't be combined with ahead_by; remove one of them")
        return value

    def next_wave(self, values: Sequence[str | None], left: int, least: int = 0) -> int:
        """Return the size of the next batch: what the leader needs, at least `least`, at most `left`; 0 to stop."""
        return min(left, max(self._needed(values, left), least, 0))

    def fault(self, calls: int, what: str) -> str:
        """Return why this number of calls, described as `what`, is too small; empty if it is enough."""
        if self._needed((), calls) <= calls:
            return ""
        rule = f"posterior = {self.posterior:g}" if self.ahead_by is None else f"ahead_by = {self.ahead_by}"
        return f"{rule} can't be reached with {what}"

    def _needed(self, values: Sequence[str | None], left: int) -> int:
        """Return how many more votes for the leader are needed; more than `left` if these are too few."""
        if self.posterior is None:
            return (self.ahead_by or 1) - tally.lead(values).by
        so_far = groups(values)
        more = range(left + 1)
        enough = (add for add in more if probability(so_far._replace(first=so_far.first + add)) >= self.posterior)
        return next(enough, left + 1)

    def why(self, values: Sequence[str | None]) -> str:
        """Return in words why no further calls are needed."""
        if self.posterior is None:
            return f"leads by {tally.lead(values).by}"
        return f"is the most frequent with probability {probability(groups(values)):.3f}"


class Stop(Ahead):
    """When to stop early, and which value of the answers is compared."""

    extract: Extractor = "text"
    """The value of an answer that is compared."""
    decimal: DecimalMark | None = None
    """The decimal mark of ambiguous numbers, with ``last_number``. By default the point: ``1,234`` is 1234."""

    @field_validator("extract")
    @classmethod
    def _can_be_extracted(cls, value: Extractor) -> Extractor:
        return compilable(value)

    @field_validator("decimal")
    @classmethod
    def _reads_numbers(cls, value: DecimalMark | None, info: ValidationInfo) -> DecimalMark | None:
        return of_numbers(value, info.data.get("extract"))
