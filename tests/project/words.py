"""Words that readers do not know, with what to write in their place; and the texts of the package that people read."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent

REJECTED = {
    r"told": "reported, sent, emitted",
    r"reckon\w*": "estimate",
    r"(?:at its|at their) dearest|dear(?:er|est)": "worst-case cost",
    r"drives?|driven|driving": "run, active, owned by a process",
    r"for want of": "missing",
    r"(?:go|goes|gone|going|went) on with": "continue, resume",
    r"asked is|asked are": "active voice",
    r"stands(?! for)|stood": "is, was",
    r"some(?:body|where else)|nobody|anybody|whoever": "a user, no one, the caller",
    r"kept aside|by itself alone": "separate",
    r"so (?:many|much|often|few|long)(?! (?:that|as)\b)": "the number itself",
    r"(?:come|comes|came) of": "result",
    r"(?:hands?|handed) on": "return, pass on",
    r"for ever|unasked|anew|singly|lest|whilst|hitherto|where(?:of|upon|in)|there(?:of|in|by)": "plain words",
    r"purses?|seats?|(?<!third )party|patience": "budget, batch, limit",
    r"wire": "OpenAI-compatible API",
    r"spare (?:one|call|request)s?": "hedged request",
    r"processor": "CPU",
    r"mend(?:s|ed|ing)?|foresaw|foreseen": "fix, expected",
    r"(?:go|goes|going|went) by": "use, follow",
    r"of (?:your|one's|his|her) own": "your",
    r"agreement to|agrees? to (?:it|what)": "confirmation",
    r"left behind": "dropped",
    r"takes? (?:note|in) that|take in": "record",
    r"last touched": "last changed",
    r"signs? of life": "heartbeat",
    r"on record": "recorded, stored",
    r"(?:come|comes|came) about": "was produced",
    r"broke off|breaks off|broken off": "was cut off",
    r"under way": "in progress",
    r"all the same|none the less": "anyway",
    r"seen? through|taken on|cleared away": "completed",
    r"brings?|brought": "return",
    r"faults?|faulty": "error",
    r"puts? (?:(?:a|the|one|same) )*questions?": "ask",
    r"(?:before the eyes|sits (?:at|there))": "plain words",
    r"be it": "even if",
    r"(?<!there )(?:is|are|was|were) no (?!longer\b|such\b)\w+": "is not",
    r"else yours": "your file",
    r"left to chance": "random",
    r"(?<!--)system texts?": "system prompt",
    r"(?:come|comes|came) free": "is released",
    r"th(?:ought|ink|inks) aloud": "reasoning",
    r"(?:holds?|held) (?:calls|models?|runs) to": "limit",
    r"(?:is|are|was|were) wanting": "is missing",
    r"what there is": "the list itself",
    r"no more(?= (?:is|are|was|were|asked)\b)|(?:is|are) no more": "no longer",
    r"it is there for": "plain words",
}
"""By pattern, in any case and as whole words: what to write in its place."""
PROMPTS = {"moa_mcp/steps/prompts.py": ("COMMENT_FORM", "_COPIED")}
"""By path: constants that may have rejected words. They are sent to models, not shown to people, and a recorded run can
be resumed only if its prompts have the same bytes."""
_REJECTED = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in REJECTED), re.IGNORECASE)


class Text(NamedTuple):
    """A text that people read, and where it is written."""

    path: str
    """From the root of the repository, with slashes."""
    line: int
    text: str

    @property
    def found(self) -> list[str]:
        """The rejected words in it."""
        return [match[0] for match in _REJECTED.finditer(self._line)]

    @property
    def reports(self) -> list[str]:
        """What to say of each, with the words around it."""
        where = f"{self.path}:{self.line}"
        return [
            f"{where}: {match[0]!r} in {self._line[max(0, match.start() - 30) : match.end() + 30]!r};"
            f" rather: {instead(match[0])}"
            for match in _REJECTED.finditer(self._line)
        ]

    @property
    def _line(self) -> str:
        return " ".join(self.text.split())


def instead(word: str) -> str:
    """Return what to write in place of a rejected word."""
    return next(better for pattern, better in REJECTED.items() if re.match(rf"(?:{pattern})\b", word, re.IGNORECASE))


def texts() -> Iterator[Text]:
    """Yield all texts of the package, its documentation and its shipped configuration.

    Strings of one word are names and keys.
    """
    for module in sorted((ROOT / "moa_mcp").rglob("*.py")):
        path = module.relative_to(ROOT).as_posix()
        found = read_in(module.read_text("utf-8"), PROMPTS.get(path, ()))
        yield from (Text(path, line, text) for line, text in found if " " in text)
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pipelines.toml"):
        yield from paragraphs(page)


def paragraphs(page: Path) -> Iterator[Text]:
    """Yield the paragraphs of a page, so that a phrase is found across a line's end."""
    line = 1
    for block in re.split(r"(\n\s*\n)", page.read_text("utf-8")):
        if block.strip():
            yield Text(page.relative_to(ROOT).as_posix(), line, block)
        line += block.count("\n")


def read_in(source: str, prompts: Collection[str] = ()) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module, with their lines: the docstrings of what is public, and all strings of words.

    A placeholder of an f-string is `{}`. Constants named in `prompts` are skipped.
    """
    tree = ast.parse(source)
    skipped = {id(docstring) for docstring in _private_docstrings(tree)}
    skipped |= {id(value) for name, value in constants(tree) if name in prompts}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in ast.walk(node) if part is not node}
            yield node.lineno, "".join(_written(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the constants of a module, each with its name."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))


def _written(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "{}"


_Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _private_docstrings(tree: ast.AST, *, private: bool = False) -> Iterator[ast.expr]:
    for node in ast.iter_child_nodes(tree):
        within = private or (isinstance(node, _Documented) and node.name.startswith("_"))
        if within and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
        yield from _private_docstrings(node, private=within)
