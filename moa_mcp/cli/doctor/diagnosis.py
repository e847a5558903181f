"""What one check of `moa-mcp doctor` found, and about which clients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.cli.text import shortened
from moa_mcp.text.redact import redact

Level: TypeAlias = Literal["ok", "warning", "problem"]
_LONGEST_MESSAGE = 1000
_LONGEST_DETAIL = 300
LEVELS: tuple[Level, ...] = ("ok", "warning", "problem")


class Diagnosis(Struct, frozen=True):
    """The result of one check."""

    level: Level
    check: str
    """What was checked, such as ``keys``."""
    message: str
    where: str = ""
    """The file, with its line where that is known, or the variable."""
    details: tuple[str, ...] = ()
    """Lines that explain it, such as the end of stderr."""
    remedy: str = ""
    """What to do, if that is more than to run the commands."""
    commands: tuple[str, ...] = ()
    """Commands that fix it, ready to copy."""

    def without_keys(self, environments: Sequence[Mapping[str, str]]) -> Diagnosis:
        """Return it without the keys of these environments, and then shortened: a part of a key could not be found."""
        return replace(
            self,
            message=shortened(masked(self.message, environments), _LONGEST_MESSAGE),
            details=tuple(shortened(masked(each, environments), _LONGEST_DETAIL) for each in self.details),
            remedy=masked(self.remedy, environments),
        )


def masked(text: str, environments: Iterable[Mapping[str, str]]) -> str:
    """Return a text without the keys of these environments."""
    for environ in environments:
        text = redact(text, environ)
    return text


class Section(Struct, frozen=True):
    """Diagnoses that are about the same clients."""

    titles: tuple[str, ...]
    """The names of the clients; empty for what is about this machine."""
    diagnoses: tuple[Diagnosis, ...]


def sections(found: Iterable[tuple[str, Diagnosis]]) -> Iterator[Section]:
    """Yield diagnoses by clients, those about several clients once and after those about one.

    Args:
        found: Each diagnosis with the name of its client, which is empty for the machine.

    """
    titles: defaultdict[Diagnosis, dict[str, None]] = defaultdict(dict)
    for title, diagnosis in found:
        titles[diagnosis][title] = None
    grouped: defaultdict[tuple[str, ...], list[Diagnosis]] = defaultdict(list)
    for diagnosis, clients in titles.items():
        grouped[tuple(each for each in clients if each)].append(diagnosis)
    for group in sorted(grouped, key=lambda names: (not names, len(names) > 1)):
        yield Section(group, tuple(grouped[group]))
