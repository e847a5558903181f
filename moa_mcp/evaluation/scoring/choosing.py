"""Chooses the way of scoring that was asked for, and checks all questions by it before anything is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from moa_mcp.batch.reading import MOST_PROBLEMS, FileProblem
from moa_mcp.config import Pipeline
from moa_mcp.errors import MoaError
from moa_mcp.evaluation.asking import Ask
from moa_mcp.evaluation.judges.judging import EvalJudge, at_temperature_0
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.choices import ByChoice
from moa_mcp.evaluation.scoring.comparing import CheckedScorer
from moa_mcp.evaluation.scoring.deciding import ByEach
from moa_mcp.evaluation.scoring.functions import ByFunction, FunctionRefused, function_at
from moa_mcp.evaluation.scoring.grading import ByJudge
from moa_mcp.evaluation.scoring.json_values import ByJson
from moa_mcp.evaluation.scoring.numbers import EXACT, ByNumber, InvalidTolerance, Tolerance, tolerance_of
from moa_mcp.evaluation.scoring.rubrics import RubricRefused, rubric_of
from moa_mcp.evaluation.scoring.score import Scorer
from moa_mcp.evaluation.scoring.values import ByValue
from moa_mcp.evaluation.scoring.ways import FunctionFile, Named, Way, WayRefused, way_of
from moa_mcp.extraction.numerals import DecimalMark

_REMOVE_JUDGE = "remove it, or use --score judge or pairwise"
_NEEDS_JUDGE = "name a model or a pipeline with --judge"


class Scoring(Struct, frozen=True):
    """How answers are to be scored, as the command line says it."""

    how: str = "auto"
    """auto, text, number, choice, json, judge, pairwise, an extractor of the vote step, or FILE.py:FUNCTION."""
    judge: Pipeline | None = None
    rubric: str | None = None
    """The text by which the judge grades or compares; None for the built-in one."""
    tolerance: str | None = None
    """Of numbers: ``0.01``, or ``1%`` of the right one. By default they must be equal."""
    decimal: DecimalMark | None = None
    """The decimal mark of ambiguous numbers."""
    subset: bool = False
    """Whether the objects of JSON answers may have more names than the right ones."""


class ScoringRefused(MoaError):
    """The questions can't be scored so. A usage error, found before anything is asked."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
        """By line of the file with the questions; line 0 for what concerns all of them. At most `MOST_PROBLEMS`."""


def scorer_of(scoring: Scoring, questions: Sequence[EvalQuestion], ask: Ask) -> Scorer | None:
    """Return what scores the answers to questions; None if a judge only compares them in pairs.

    Raises:
        ScoringRefused: the way is unknown, lacks or has too many settings, or does not fit to a right answer.

    """
    try:
        way = _chosen(way_of(scoring.how), questions, scoring)
        scorer = _scorer(way, scoring, ask)
        _check_judge(scorer, questions)
    except (WayRefused, FunctionRefused, InvalidTolerance, RubricRefused, _Unusable) as error:
        raise ScoringRefused([FileProblem(0, str(error))]) from error
    if scorer is None:
        return None
    if problems := [*_problems(scorer, questions)][:MOST_PROBLEMS]:
        raise ScoringRefused(problems)
    return scorer


class _Unusable(ValueError):
    """Settings do not fit to each other."""


def _check_judge(scorer: Scorer | None, questions: Sequence[EvalQuestion]) -> None:
    if isinstance(scorer, ByEach) and not scorer.is_free and not any(map(scorer.is_text, questions)):
        raise _Unusable(f"--judge is not used: no right answer is a text; {_REMOVE_JUDGE}")


def _chosen(way: Way, questions: Sequence[EvalQuestion], scoring: Scoring) -> Way:
    """Return the way for these questions: open ones are compared in pairs. Raises `_Unusable`, `ScoringRefused`."""
    if way == "auto":
        way = _for_all(questions)
    if way in {"judge", "pairwise"} and scoring.judge is None:
        open_questions = "the questions have no answers, so a judge compares the answers of contestants"
        raise _Unusable(
            f"{open_questions if scoring.how == 'auto' else f'--score {way} needs a judge'}; {_NEEDS_JUDGE}"
        )
    for setting, used in _settings(way, scoring):
        if not used:
            raise _Unusable(f"{setting} is not used by --score {scoring.how}; remove it")
    return way


def _for_all(questions: Sequence[EvalQuestion]) -> Way:
    """Return `auto`, or `pairwise` for open questions."""
    without = [question for question in questions if question.answer is None]
    if not without:
        return "auto"
    if len(without) == len(questions):
        return "pairwise"
    remedy = "add it, remove the question, or use --score judge or pairwise for all of them"
    raise ScoringRefused(
        [FileProblem(each.item.line, f"its answer is missing, and others have one; {remedy}") for each in without][
            :MOST_PROBLEMS
        ]
    )


def _settings(way: Way, scoring: Scoring) -> Iterator[tuple[str, bool]]:
    """Yield the settings that were given, each with whether the way uses it."""
    if scoring.tolerance is not None:
        yield "--tolerance", way in {"auto", "number"}
    if scoring.decimal is not None:
        yield "--decimal", way in {"auto", "number"}
    if scoring.subset:
        yield "--subset", way in {"auto", "json"}
    if scoring.judge is not None:
        yield "--judge", way in {"auto", "judge", "pairwise"}
    if scoring.rubric is not None:
        yield "--rubric", way in {"judge", "pairwise"} or (way == "auto" and scoring.judge is not None)


def _scorer(way: Way, scoring: Scoring, ask: Ask) -> CheckedScorer | None:
    if isinstance(way, FunctionFile):
        return ByFunction(function_at(str(way)))
    if not isinstance(way, str):
        return ByValue(way)
    made: Mapping[Named, Callable[[], CheckedScorer | None]] = {
        "auto": lambda: ByEach(_by_number(scoring), ByJson(scoring.subset), _by_text(scoring, ask)),
        "text": lambda: ByValue("text"),
        "number": lambda: _by_number(scoring),
        "choice": ByChoice,
        "json": lambda: ByJson(scoring.subset),
        "judge": lambda: _by_judge(scoring, ask),
        "pairwise": lambda: _none(scoring),
    }
    return made[way]()


def _none(scoring: Scoring) -> None:
    rubric_of(scoring.rubric)


def _by_number(scoring: Scoring) -> ByNumber:
    tolerance: Tolerance = EXACT if scoring.tolerance is None else tolerance_of(scoring.tolerance)
    return ByNumber(tolerance, scoring.decimal)


def _by_text(scoring: Scoring, ask: Ask) -> CheckedScorer:
    """Return what scores texts: the judge, if one is named, since few answers repeat a text word by word."""
    return ByValue("text") if scoring.judge is None else _by_judge(scoring, ask)


def _by_judge(scoring: Scoring, ask: Ask) -> ByJudge:
    if scoring.judge is None:
        raise _Unusable(_NEEDS_JUDGE)
    return ByJudge(EvalJudge(at_temperature_0(scoring.judge), ask), rubric_of(scoring.rubric))


def _problems(scorer: CheckedScorer, questions: Sequence[EvalQuestion]) -> Iterator[FileProblem]:
    for question in questions:
        if problem := scorer.problem_of(question):
            yield FileProblem(question.item.line, f"its {problem}")
