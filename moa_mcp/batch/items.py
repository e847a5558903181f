"""The items of a batch: a question each, with what its run may have of its own. Values and their checks, no files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import TypeAlias, cast

from msgspec import Struct
from msgspec.structs import asdict

from moa_mcp.files.images import images_of
from moa_mcp.files.refused import FileRefused
from moa_mcp.text.suggest import similar
from moa_mcp.text.surrogates import mended
from moa_mcp.text.visible import quoted
from moa_mcp.values import Question

FIELDS = ("question", "id", "context", "images", "system", "seed", "max_cost_usd", "deadline_s")
"""What an item may have. Other fields are not used."""
_NEAR = 0.8
"""How similar an unknown field must be to a missing one to be a mistake; other columns are common in data sets."""
_OTHER_NAMES = frozenset({"prompt", "input", "query", "instruction", "problem"})
"""What data sets also call the question."""
_NAMED = 5
_LONGEST_ID = 500
_LARGEST_SEED = 2**63 - 1
_MOST_DIGITS = 20
_SHOWN = 40
KINDS: Mapping[type, str] = {
    bool: "true or false",
    list: "a list",
    dict: "an object",
    int: "a number",
    float: "a number",
    type(None): "null",
}

Raw: TypeAlias = Mapping[str, object]
"""An item as its file has it. Values of a CSV file are texts."""


class InvalidItem(ValueError):
    """An item is invalid. The message names the field, its value and a valid one."""


class Item(Struct, frozen=True):
    """One question of a batch."""

    line: int
    """Where it begins in its file, from 1."""
    question: str
    id: str | int | None = None
    """As its file has it; None if it has none."""
    context: str | None = None
    system: str | None = None
    seed: int | None = None
    max_cost_usd: str | None = None
    """US dollars, as a text without loss."""
    deadline_s: float | None = None
    """Seconds."""
    copy: int = 0
    """How many earlier items without an ID ask the same."""
    images: tuple[str, ...] = ()
    """Paths, https addresses and data URIs, as its file has them."""
    image_hashes: tuple[str, ...] = ()
    """The hashes of their contents; for an address that of the address."""

    def asked(self, context: str | None, system: str | None) -> Question:
        """Return the question, with the context and the system prompt of the batch where it has none.

        Raises:
            FileRefused: an image can't be read any longer.

        """
        images = images_of(self.images)
        return Question(self.question, self.context or context, self.system or system, images=images)

    @property
    def budget_usd(self) -> Decimal | None:
        """Its own budget in US dollars; None if it has none."""
        return None if self.max_cost_usd is None else Decimal(self.max_cost_usd)

    def dumped(self) -> bytes:
        """Return the item for `restored`."""
        return json.dumps({key: value for key, value in asdict(self).items() if value is not None}).encode()


def restored(text: bytes) -> Item:
    """Return an item from `Item.dumped`."""
    known = json.loads(text)
    return Item(**known | {name: tuple(known.get(name, ())) for name in ("images", "image_hashes")})


def item(raw: Raw, line: int) -> Item:
    """Return the item of a line. Raises `InvalidItem`."""
    check_names(raw, FIELDS)
    budget = _positive("max_cost_usd", raw.get("max_cost_usd"), "US dollars")
    deadline = _positive("deadline_s", raw.get("deadline_s"), "seconds")
    images = _images(raw.get("images"))
    return Item(
        line,
        question_in(raw),
        _id(raw.get("id")),
        text_of("context", raw.get("context")),
        text_of("system", raw.get("system")),
        _seed(raw.get("seed")),
        None if budget is None else str(budget),
        None if deadline is None else float(deadline),
        images=images,
        image_hashes=_hashes(images),
    )


def check_names(raw: Raw, fields: Iterable[str]) -> None:
    """Raise `InvalidItem` if an unknown field is probably a misspelled one of these."""
    known = (*fields,)
    missing = [name for name in known if name not in raw]
    for name in raw:
        if name in known:
            continue
        if near := similar(name, missing, most=1, at_least=_NEAR):
            raise InvalidItem(f"there is no field {quoted(name)}; did you mean {near[0]}?")


def question_in(raw: Raw) -> str:
    """Return the text of the question of a line. Raises `InvalidItem`."""
    if "question" not in raw:
        raise InvalidItem(f'it has no "question"; its fields: {listed_names(raw)}{other_name(raw)}')
    text = text_of("question", raw["question"])
    if text is None:
        raise InvalidItem("its question is empty")
    return text


def listed_names(names: Iterable[str]) -> str:
    """Return the first names of fields or columns for a message."""
    return ", ".join(quoted(name) for name in [*names][:_NAMED]) or "none"


def other_name(names: Iterable[str]) -> str:
    """Return the remedy for a question under another usual name; empty if there is none."""
    found = next((name for name in names if name.lower() in _OTHER_NAMES), None)
    return "" if found is None else f'; rename {quoted(found)} to "question"'


def text_of(name: str, value: object) -> str | None:
    """Return the text of a field; None if it is empty or missing. Raises `InvalidItem` for another value."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidItem(f"its {name} is {KINDS[type(value)]}; write it as a text")
    return mended(value) if value.strip() else None


def _images(value: object) -> tuple[str, ...]:
    """Return the images of an item: a list, or a single one; a cell of a CSV file may have a list as JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError):
            value = json.loads(value)
    if value is None or value == "":
        return ()
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    texts = tuple(each for each in listed if isinstance(each, str) and each)
    if len(texts) < len(listed):
        raise InvalidItem('its images are not a list of paths and addresses, such as ["chart.png"]')
    return texts


def _hashes(images: tuple[str, ...]) -> tuple[str, ...]:
    try:
        found = images_of(images)
    except FileRefused as error:
        raise InvalidItem(str(error)) from error
    return tuple(image.content_sha256 or sha256(image.url.encode()).hexdigest() for image in found)


def _id(value: object) -> str | int | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidItem(f"its id is {KINDS[type(value)]}; write it as a text or a whole number")
    if len(str(value)) > _LONGEST_ID:
        raise InvalidItem(f"its id has {len(str(value))} characters; use at most {_LONGEST_ID}")
    return mended(value) if isinstance(value, str) else value


def _seed(value: object) -> int | None:
    number = _decimal("seed", value, "a whole number from 0")
    if number is not None and (number < 0 or number % 1 or number > _LARGEST_SEED):
        raise InvalidItem(f"its seed is {number}; write a whole number from 0 to {_LARGEST_SEED}")
    return None if number is None else int(number)


def _positive(name: str, value: object, unit: str) -> Decimal | None:
    number = _decimal(name, value, f"{unit} above 0")
    if number is not None and number <= 0:
        raise InvalidItem(f"its {name} is {number}; write {unit} above 0")
    return number


def _decimal(name: str, value: object, expected: str) -> Decimal | None:
    """Return a number, which a CSV file has as a text. Raises `InvalidItem`."""
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value)) if not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        raise InvalidItem(f"its {name} is {shown(value)}; write {expected}")
    return number


def shown(value: object) -> str:
    """Return a value for a message: a short text or number as it is, or what kind of value it is."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        return quoted(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
    return KINDS[type(value)]
