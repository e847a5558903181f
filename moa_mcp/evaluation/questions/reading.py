"""Reads the questions of an evaluation from a file, with all that is wrong in it. It knows no runs and no terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from moa_mcp.batch.items import InvalidItem, Raw
from moa_mcp.batch.rows import FileProblem, Format, Read, read_rows
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.questions.content import key_of
from moa_mcp.evaluation.questions.fields import FIELDS, question_of
from moa_mcp.text.visible import quoted

_NAMED = 8


class QuestionFile(Struct):
    """The questions of a file, or of a task."""

    questions: list[EvalQuestion] = field(default_factory=list[EvalQuestion])
    """Without repetitions."""
    repeated: list[int] = field(default_factory=list[int])
    """The lines of questions that an earlier line asks with the same answer. They count once."""
    _by_id: dict[str, EvalQuestion] = field(default_factory=dict[str, EvalQuestion])
    _by_key: dict[str, EvalQuestion] = field(default_factory=dict[str, EvalQuestion])

    def add(self, question: EvalQuestion) -> None:
        """Add the next question. Raises `InvalidItem` if an earlier one has its ID, or asks it with another answer."""
        line = question.item.line
        earlier = self._by_id.setdefault(question.id, question)
        if earlier is not question:
            raise InvalidItem(f"its id {quoted(question.id)} is that of line {earlier.item.line}; ids must differ")
        same = self._by_key.setdefault(key_of(question), question)
        if same is question:
            self.questions.append(question)
        elif same.answer == question.answer:
            self.repeated.append(line)
        else:
            raise InvalidItem(f"line {same.item.line} asks the same with another answer; remove one of them")

    @property
    def problems(self) -> list[FileProblem]:
        """What is wrong with the questions together."""
        without = [each.item.line for each in self.questions if each.answer is None]
        if not without or len(without) == len(self.questions):
            return []
        message = (
            f"{len(without)} of {len(self.questions)} questions have no answer ({_lines(without)}); give all questions "
            "an answer, or none of them"
        )
        return [FileProblem(0, message)]

    @property
    def notes(self) -> list[str]:
        """What a reader of the result must know."""
        if not self.repeated:
            return []
        return [f"{_lines(self.repeated)}: an earlier line asks the same, so it counts once"]


def read_questions(lines: Iterable[bytes], form: Format, into: QuestionFile, *, metadata: bool = False) -> Read:
    """Add the questions of a binary file; return the problems.

    With `metadata`, other fields are used, by a function of the user.
    """

    def added(raw: Raw, line: int) -> None:
        into.add(question_of(raw, line))

    read = read_rows(lines, form, FIELDS, added, lambda _: None)
    if metadata:
        read.unused.clear()
    if not read.problems:
        read.problems += into.problems
    return read


def _lines(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"{'line' if len(numbers) == 1 else 'lines'} {shown}{more}"
