"""The evaluations of this user: each is kept as a private file in the user's data folder, where `advise` finds it.

A later result of the same evaluation replaces an earlier one, unless it has less: an incomplete one never replaces a
complete one. The newest hundred are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_data_path

from moa_mcp.evaluation.report.json_file import write
from moa_mcp.evaluation.result import Evaluation

KEPT = 100
_DIGITS = 16
"""Of the digest, in the name of a file."""
_INCOMPLETE = "-incomplete"
_NAME = re.compile(rf"\d{{8}}T\d{{6}}Z-([0-9a-zA-Z]+)({_INCOMPLETE})?\.json")


def default_folder() -> Path:
    """Return the folder of the evaluations, beside the default journal."""
    return user_data_path("moa-mcp") / "evaluations"


class EvaluationStore:
    """A folder of evaluations, named by time and digest."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use a folder, by default that of the user. It is created with the first evaluation."""
        self._folder = default_folder() if folder is None else folder

    def add(self, evaluation: Evaluation) -> Path:
        """Store an evaluation and return its file; delete the files that it replaces, and the oldest ones.

        Raises:
            OSError: the file can't be written.

        """
        path = self._folder / _name(evaluation)
        write(evaluation, path, private=True)
        for each in self._replaced(path, complete=evaluation.complete):
            each.unlink(missing_ok=True)
        return path

    def newest(self, digest: str = "") -> Path | None:
        """Return the newest file, or the newest of the evaluation whose digest starts so; None if there is none.

        Raises:
            OSError: the folder can't be read.

        """
        return next((path for path in self.every() if _digest(path).startswith(digest[:_DIGITS])), None)

    def every(self) -> Iterator[Path]:
        """Yield all files, the newest first. Raises `OSError`."""
        found = self._folder.iterdir() if self._folder.exists() else ()
        yield from sorted((each for each in found if _NAME.fullmatch(each.name)), key=_order, reverse=True)

    def _replaced(self, path: Path, *, complete: bool) -> Iterator[Path]:
        others = [each for each in self.every() if each != path]
        yield from others[KEPT - 1 :]
        for each in others[: KEPT - 1]:
            if _digest(each) == _digest(path) and (complete or _INCOMPLETE in each.name):
                yield each


def _name(evaluation: Evaluation) -> str:
    created = datetime.fromisoformat(evaluation.created_at).astimezone(UTC)
    digest = re.sub(r"[^0-9a-zA-Z]", "", evaluation.digest)[:_DIGITS] or "0"
    return f"{created:%Y%m%dT%H%M%SZ}-{digest}{'' if evaluation.complete else _INCOMPLETE}.json"


def _order(path: Path) -> tuple[str, float]:
    """Return what sorts files by the time in the name, then by the time of writing."""
    return path.name[:16], path.stat().st_mtime


def _digest(path: Path) -> str:
    match = _NAME.fullmatch(path.name)
    return match[1] if match else ""
