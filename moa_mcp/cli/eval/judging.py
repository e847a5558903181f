"""How the answers of an evaluation are scored or compared, from the options of the command."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from moa_mcp.cli.batch.source import InvalidFile
from moa_mcp.cli.options import Refused
from moa_mcp.config import Pipeline
from moa_mcp.evaluation.asking import Ask, EvalRun
from moa_mcp.evaluation.duels.duel import duel
from moa_mcp.evaluation.execution.plan import Duellist, Judgement
from moa_mcp.evaluation.judges.judging import digest_of_judge
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.result import Verdict
from moa_mcp.evaluation.scoring.choosing import Scoring, ScoringRefused, scorer_of
from moa_mcp.evaluation.scoring.score import Scorer
from moa_mcp.extraction.numerals import DecimalMark

_HELP = "moa-mcp eval --help lists the ways of --score."
_REMEDY = "Correct the lines, or choose another way with --score."


class ScoreOptions(Struct, frozen=True):
    """The options that say how answers are scored."""

    how: str | None
    extract: str | None
    tolerance: str | None
    decimal: DecimalMark | None
    subset: bool
    rubric: str | None

    @property
    def way(self) -> str:
        """The way of scoring. Raises `Refused` if two are named."""
        if self.how is not None and self.extract is not None:
            raise Refused(f"--score {self.how} and --extract name two ways of scoring", "Remove one of them.")
        return self.how or self.extract or "auto"

    @property
    def uses_function(self) -> bool:
        """Whether a function of the user scores answers."""
        return ".py" in self.way

    def scoring(self, judge: Pipeline | None) -> Scoring:
        """Return the settings of a scorer."""
        return Scoring(self.way, judge, self.rubric, self.tolerance, self.decimal, self.subset)


def judgement_of(scoring: Scoring, questions: Sequence[EvalQuestion], name: str) -> Judgement:
    """Return how answers to these questions are judged; `name` is that of their file. Raises `Refused`."""
    try:
        scorer = scorer_of(scoring, questions, _nothing)
    except ScoringRefused as error:
        if any(each.line for each in error.problems):
            raise InvalidFile(name, error.problems, _REMEDY) from error
        raise Refused("; ".join(each.message for each in error.problems), _HELP) from error
    if scorer is None:
        return _in_pairs(scoring)
    if scorer.is_free:
        return Judgement(scorer.digest, lambda _: scorer)
    return Judgement(scorer.digest, lambda ask: _scorer(scoring, questions, ask), judge=scoring.judge)


def _in_pairs(scoring: Scoring) -> Judgement:
    judge = scoring.judge
    if judge is None:
        raise TypeError("a comparison in pairs has a judge")

    async def compare(ask: Ask, question: EvalQuestion, one: Duellist, other: Duellist) -> tuple[Verdict, ...]:
        return await duel(
            ask, judge, question, one.contestant, one.answer, other.contestant, other.answer, scoring.rubric
        )

    return Judgement(digest_of_judge(judge, scoring.rubric), duel=compare, judge=judge)


def _scorer(scoring: Scoring, questions: Sequence[EvalQuestion], ask: Ask) -> Scorer:
    scorer = scorer_of(scoring, questions, ask)
    if scorer is None:
        raise TypeError("the same questions are scored in the same way")
    return scorer


class _Nothing:
    """Asks nothing: only the settings of a scorer are read."""

    async def __call__(self, *_: object, **__: object) -> EvalRun:
        raise NotImplementedError


_nothing = _Nothing()
