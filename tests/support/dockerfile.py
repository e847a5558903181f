"""Reads a Dockerfile: its stages, and what is set in each."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its instructions in order, as the name and the text behind it."""

    image: str
    instructions: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        return [text for each, text in self.instructions if each == name]

    def only(self, name: str) -> str:
        (text,) = self.all(name)
        return text

    def command(self, name: str) -> list[str]:
        """Return the words of an instruction that has a JSON list, behind its options."""
        words: list[str] = json.loads(re.sub(r"^[^\[]*", "", self.only(name)))
        return words

    def variables(self, name: str) -> dict[str, str]:
        """Return the names and values of an instruction such as ENV."""
        pairs = (word.partition("=") for text in self.all(name) for word in shlex.split(text))
        return {key: value for key, _, value in pairs}


def stages(path: Path) -> list[Stage]:
    """Return the stages of a Dockerfile in order."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.partition(" ") for line in text.splitlines() if line.strip()]
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for name, _, rest in lines:
        if name == "FROM":
            found.append((rest.strip(), []))
        else:
            found[-1][1].append((name, rest.strip()))
    return [Stage(image, tuple(instructions)) for image, instructions in found]
