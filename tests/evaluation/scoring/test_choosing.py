"""Which scorer a command line chooses, and what it refuses before anything is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moa_mcp.batch.reading import FileProblem
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.choosing import Scoring, ScoringRefused, scorer_of
from moa_mcp.evaluation.scoring.deciding import ByEach
from tests.support.judges import JUDGE, ScriptedJudge, question_of

NUMBERS = [question_of("1", line=1), question_of("2", line=2)]
TEXTS = [question_of("Paris", line=1), question_of("2", line=2)]
OPEN = [question_of(None, line=1), question_of(None, line=2)]
MIXED = [question_of("1", line=3), question_of(None, line=5)]
GRADER = "def score(question, answer, expected): return 1\n"


def chosen(questions: list[EvalQuestion], how: str = "auto", **settings: Any) -> str | None:
    scorer = scorer_of(Scoring(how, **settings), questions, ScriptedJudge())
    if isinstance(scorer, ByEach):
        return f"auto: {' '.join(scorer.of(question).name for question in questions)}"
    return None if scorer is None else scorer.name


def refusal(questions: list[EvalQuestion], how: str = "auto", **settings: Any) -> tuple[FileProblem, ...]:
    with pytest.raises(ScoringRefused) as refused:
        chosen(questions, how, **settings)
    return refused.value.problems


@pytest.mark.parametrize(
    ("questions", "scoring", "name"),
    [
        (NUMBERS, {}, "auto: number number"),
        (TEXTS, {}, "auto: text number"),
        (TEXTS, {"judge": JUDGE}, "auto: judge number"),
        ([question_of("B", "x", "y"), question_of("[1]")], {}, "auto: choice json"),
        (OPEN, {"judge": JUDGE}, None),
        (NUMBERS, {"how": "pairwise", "judge": JUDGE}, None),
        (MIXED, {"how": "pairwise", "judge": JUDGE, "rubric": "Be brief."}, None),
        (MIXED, {"how": "judge", "judge": JUDGE}, "judge"),
        (OPEN, {"how": "judge", "judge": JUDGE, "rubric": "Scale: 1 to 5"}, "judge"),
        (TEXTS, {"judge": JUDGE, "rubric": "Be strict."}, "auto: judge number"),
        (NUMBERS, {"how": "number", "tolerance": "1%", "decimal": "comma"}, "number"),
        (NUMBERS, {"how": " last_number "}, "number"),
        (TEXTS, {"how": "exact"}, "text"),
        (NUMBERS, {"how": "text"}, "text"),
        (NUMBERS, {"how": "json", "subset": True}, "json"),
        ([question_of("A")], {"how": "choice"}, "choice"),
        (NUMBERS, {"how": '{json = "x"}'}, '{json = "x"}'),
        (NUMBERS, {"how": r"{ regex = '#### (\d+)' }"}, r"{regex = '#### (\d+)'}"),
    ],
)
def test_the_right_answers_and_the_settings_choose_the_scorer(
    questions: list[EvalQuestion], scoring: dict[str, Any], name: str | None
) -> None:
    assert chosen(questions, **scoring) == name


def test_a_function_is_named_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "my grader.py"
    file.write_text(GRADER)
    for how in (f"{file}:score", str(file)):
        assert chosen(OPEN, how) == "my grader.py:score"


@pytest.mark.parametrize(
    ("questions", "scoring", "message"),
    [
        (OPEN, {}, "the questions have no answers, so a judge compares the answers of contestants; name a model or a"),
        (NUMBERS, {"how": "judge"}, "--score judge needs a judge; name a model or a pipeline with --judge"),
        (NUMBERS, {"how": "pairwise"}, "--score pairwise needs a judge; name a model or a pipeline with --judge"),
        (NUMBERS, {"how": "numbers"}, 'there is no scoring "numbers"; did you mean number? Use auto, text'),
        (NUMBERS, {"how": "magic"}, 'there is no scoring "magic"; use auto, text'),
        (
            NUMBERS,
            {"how": "{json = 1}"},
            'the scoring "{json = 1}" has unknown names or values; write {json = "FIELD"}',
        ),
        (NUMBERS, {"how": "{field = 'x'}"}, "the scoring \"{field = 'x'}\" has unknown names or values; write"),
        (NUMBERS, {"how": "{json = 'x'"}, "the scoring \"{json = 'x'\" can't be read: "),
        (
            NUMBERS,
            {"how": "{regex = '('}"},
            "the scoring \"{regex = '('}\" can't be read: '(' is not a regular expression",
        ),
        (NUMBERS, {"how": "none_there.py:score"}, "'none_there.py' can't be read: no such file or directory"),
        (NUMBERS, {"how": "text", "tolerance": "1"}, "--tolerance is not used by --score text; remove it"),
        (NUMBERS, {"how": "text", "decimal": "comma"}, "--decimal is not used by --score text; remove it"),
        (NUMBERS, {"how": "text", "subset": True}, "--subset is not used by --score text; remove it"),
        (NUMBERS, {"how": "{json = 'x'}", "subset": True}, "--subset is not used by --score {json = 'x'}; remove it"),
        (NUMBERS, {"rubric": "x"}, "--rubric is not used by --score auto; remove it"),
        (OPEN, {"judge": JUDGE, "tolerance": "1"}, "--tolerance is not used by --score auto"),
        (NUMBERS, {"judge": JUDGE}, "--judge is not used: no right answer is a text"),
        (NUMBERS, {"how": "number", "judge": JUDGE}, "--judge is not used by --score number; remove it"),
        (NUMBERS, {"tolerance": "x"}, 'the tolerance "x" is not a number from 0'),
        (OPEN, {"judge": JUDGE, "rubric": " "}, "the rubric is empty; write what makes an answer right"),
        (OPEN, {"how": "judge", "judge": JUDGE, "rubric": "Scale: 5 to 1"}, "the scale 5 to 1 does not rise"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_remedy(
    questions: list[EvalQuestion], scoring: dict[str, Any], message: str
) -> None:
    (problem,) = refusal(questions, **scoring)
    assert problem.line == 0
    assert problem.message.startswith(message)


def test_right_answers_that_can_not_be_compared_are_told_by_line() -> None:
    assert refusal([question_of("1", line=2), question_of("x", line=4), question_of(None, line=9)], "number") == (
        FileProblem(4, 'its answer "x" is not one number'),
        FileProblem(9, "its answer is missing"),
    )
    assert len(refusal([question_of(None, line=line) for line in range(1, 40)], "number")) == 20


def test_questions_without_a_right_answer_among_others_are_told_by_line() -> None:
    (problem,) = refusal(MIXED)
    assert str(problem) == (
        "line 5: its answer is missing, and others have one; add it, remove the question, or use --score judge or "
        "pairwise for all of them"
    )


def test_a_refusal_reads_as_its_problems() -> None:
    assert str(ScoringRefused([FileProblem(0, "a"), FileProblem(3, "b")])) == "a\nline 3: b"
