"""Scores by a Python function of the user: how it is found, called and read, and what its errors say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import anyio
import pytest

from moa_mcp.evaluation.scoring.functions import ByFunction, FunctionRefused, function_at
from moa_mcp.evaluation.scoring.score import AnswerScore
from tests.support.judges import question_of

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def same_paths() -> Iterator[None]:
    before = [*sys.path]
    yield
    sys.path[:] = before


def written(folder: Path, source: str, name: str = "grader.py") -> str:
    (folder / name).write_text(dedent(source))
    return f"{folder / name}:score"


async def scored(folder: Path, source: str, answer: str = "4", **question: Any) -> AnswerScore:
    scorer = ByFunction(function_at(written(folder, source)))
    return await scorer(question_of("4", **question), answer)


@pytest.mark.parametrize(
    ("body", "value", "why"),
    [
        ("return answer == expected", 1, "grader.py:score returned 1"),
        ("return 0.25", 0.25, "grader.py:score returned 0.25"),
        ("return 0", 0, "grader.py:score returned 0"),
        ("return 0.5, 'half of it'", 0.5, "half of it"),
        ("return {'score': True, 'explanation': 'well done'}", 1, "well done"),
        ("return {'value': 0.1, 'why': 3}", 0.1, "3"),
        ("return {'score': 0.1}", 0.1, "grader.py:score returned 0.1"),
        ("import decimal; return decimal.Decimal('0.5')", 0.5, "grader.py:score returned 0.5"),
        ("import fractions; return fractions.Fraction(1, 4)", 0.25, "grader.py:score returned 0.25"),
        ("import numpy; return numpy.float32(0.5)", 0.5, "grader.py:score returned 0.5"),
        ("import numpy; return numpy.bool_(True)", 1, "grader.py:score returned 1"),
        ("import numpy; return numpy.array(0.5)", 0.5, "grader.py:score returned 0.5"),
    ],
)
async def test_a_score_is_a_number_from_0_to_1_with_or_without_an_explanation(
    tmp_path: Path, body: str, value: float, why: str
) -> None:
    source = f"def score(question, answer, expected):\n    {body}\n"
    assert await scored(tmp_path, source) == AnswerScore(value, why=why)
    assert await scored(tmp_path, f"async {source}") == AnswerScore(value, why=why)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return 1.5", "grader.py:score returned 1.5, which is not from 0 to 1; return a number from 0 to 1"),
        ("return -1", "grader.py:score returned -1, which is not from 0 to 1"),
        ("return float('nan')", "grader.py:score returned nan, which is not from 0 to 1"),
        ("return float('inf')", "grader.py:score returned inf, which is not from 0 to 1"),
        ("return", "grader.py:score returned None; return a number from 0 to 1, or True or False"),
        ("return '0.5'", "grader.py:score returned the text '0.5'; return a number"),
        ("return 'x' * 1000", f"grader.py:score returned the text '{'x' * 60}…'; return a number"),
        ("return [1]", "grader.py:score returned a value of type list; return a number"),
        ("return (1, 2, 3)", "grader.py:score returned a tuple of 3; return (score, explanation)"),
        ("return {'points': 1}", "grader.py:score returned a mapping without \"score\"; its names: 'points'"),
        ("return {}", 'grader.py:score returned a mapping without "score"; its names: none'),
        ("return {'score': None}", "grader.py:score returned None"),
        ("import numpy; return numpy.array([1, 2])", "grader.py:score returned a value of type ndarray"),
        ("return 1 / 0", "grader.py, line 2: ZeroDivisionError: division by zero"),
        ("return {}['x']", "grader.py, line 2: KeyError: 'x'"),
        ("return 1, 2, answer.nothing", "grader.py, line 2: AttributeError: 'str' object has no attribute 'nothing'"),
        ("import json; return json.loads(answer + '}')", "grader.py, line 2: JSONDecodeError: Extra data"),
        ("raise ValueError", "grader.py, line 2: ValueError"),
        ("raise ValueError('two\\nlines\\x1b[31m')", "grader.py, line 2: ValueError: two lines"),
        ("raise SystemExit(3)", "grader.py, line 2: SystemExit: 3"),
        ("raise ValueError('sk-proj-abcdefghijklmnopqrstuvwxyz012345')", "grader.py, line 2: ValueError: "),
        ("raise ValueError('long ' * 1000)", "grader.py, line 2: ValueError: long long"),
    ],
)
async def test_what_is_wrong_in_a_function_is_said_with_its_line(tmp_path: Path, body: str, problem: str) -> None:
    for kind in ("", "async "):
        found = await scored(tmp_path, f"{kind}def score(question, answer, expected):\n    {body}\n")
        assert found.value is None
        assert found.problem.startswith(f"the scoring function failed: {problem}")
        assert len(found.problem) < 450
        assert "abcdefghijklmnopqrstuvwxyz" not in found.problem
        assert "\x1b" not in found.problem


async def test_an_error_below_the_function_names_the_line_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "below_grader.py").write_text("def fail():\n    raise RuntimeError('deep')\n")
    source = """
    import below_grader

    def score(question, answer, expected):
        return below_grader.fail()
    """
    found = await scored(tmp_path, source)
    assert found.problem == "the scoring function failed: grader.py, line 5: RuntimeError: deep"


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        ("question, answer, expected", "Why?|4|4"),
        ("q, a, e", "Why?|4|4"),
        ("question, answer, expected, /", "Why?|4|4"),
        ("*everything", "Why?|4|4"),
        ("q, a, e, *, id", "Why?|4|4|7"),
        ("question, answer, expected=None, *, id, choices, context, metadata", "Why?|4|4|7|['a', 'b']|C|{'level': 3}"),
        ("answer, expected", "4|4"),
        ("expected, answer", "4|4"),
        ("answer, system, cluster", "4|S|None"),
        ("answer, tolerance=0.1", "4|0.1"),
        ("q, a, e, extra=None", "Why?|4|4|None"),
    ],
)
async def test_a_function_gets_what_its_parameters_name(tmp_path: Path, signature: str, said: str) -> None:
    names = [part.split("=")[0].strip("* ") for part in signature.split(",") if part.strip() not in {"*", "/"}]
    values = "*everything" if "everything" in signature else ", ".join(names)
    source = f"def score({signature}):\n    return 1, '|'.join(map(str, [{values}]))\n"
    scorer = ByFunction(function_at(written(tmp_path, source)))
    question = question_of("4", "a", "b", line=7, context="C", system="S", metadata={"level": 3})
    assert (await scorer(question, "4")).why == said


async def test_a_function_with_keywords_gets_all_that_is_known(tmp_path: Path) -> None:
    for first in ("", "q, a, e, "):
        source = f"def score({first}**known):\n    return 1, ' '.join(sorted(known))\n"
        further = "choices cluster context id metadata system"
        said = further if first else "answer choices cluster context expected id metadata question system"
        assert (await scored(tmp_path, source)).why == said


async def test_open_questions_have_no_right_answer(tmp_path: Path) -> None:
    scorer = ByFunction(function_at(written(tmp_path, "def score(q, a, expected):\n    return expected is None\n")))
    assert (await scorer(question_of(None), "x")).value == 1
    assert scorer.problem_of(question_of(None)) == ""


async def test_classes_and_builtins_are_called_too(tmp_path: Path) -> None:
    source = """
    class Grader:
        async def __call__(self, question, answer, expected):
            return answer == expected

    score = Grader()
    low = min
    """
    assert (await scored(tmp_path, source)).value == 1
    low = ByFunction(function_at(f"{tmp_path / 'grader.py'}:low"))
    assert "TypeError" in (await low(question_of("4"), "4")).problem or (await low(question_of("4"), "4")).problem


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def scores(question, answer, expected): ...", "grader.py has no function 'score'; did you mean scores?"),
        ("def grade(question, answer, expected): ...", "grader.py has no function 'score'; its functions: grade"),
        ("", "grader.py has no function 'score'; its functions: none"),
        ("score = 3", "grader.py has no function 'score': this is not callable"),
        ("def score(answer, expected\n", "it can't be loaded: grader.py, line 1: SyntaxError: '(' was never closed"),
        ("x = 1\nimport no_such_module_here", "it can't be loaded: grader.py, line 2: ModuleNotFoundError: No module"),
        ("x = 1\n1 / 0", "it can't be loaded: grader.py, line 2: ZeroDivisionError: division by zero"),
        ("raise SystemExit", "it can't be loaded: grader.py, line 1: SystemExit"),
        ("def score(): ...", "grader.py: score takes no arguments; write it as score(question, answer, expected)"),
        ("def score(a, b): ...", "grader.py: score takes (a, b); write it as score(question, answer, expected)"),
        (
            "def score(question): ...",
            "grader.py: score takes (question); write it as score(question, answer, expected)",
        ),
        (
            "def score(q, a, e, level): ...",
            (
                "grader.py: score needs 'level', which is unknown; besides score(question, answer, "
                "expected) it can take "
                "id, choices, context, system, cluster, metadata"
            ),
        ),
    ],
)
def test_a_function_that_can_not_be_used_is_refused_before_a_run(tmp_path: Path, source: str, problem: str) -> None:
    with pytest.raises(FunctionRefused) as refused:
        function_at(written(tmp_path, source))
    assert str(refused.value).startswith(problem)


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path / "none.py", "no such file or directory"),
        (tmp_path, "is a directory"),
    ):
        with pytest.raises(FunctionRefused, match=why):
            function_at(f"{path}:score")
    (tmp_path / "grader.txt").write_text("def score(q, a, e): return 1")
    with pytest.raises(FunctionRefused, match=r"'grader\.txt' is not a Python file; name one that ends in \.py"):
        function_at(f"{tmp_path / 'grader.txt'}:score")
    (tmp_path / "grader.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FunctionRefused, match=r"it can't be loaded: grader\.py"):
        function_at(str(tmp_path / "grader.py"))


async def test_a_file_imports_its_neighbours_before_modules_of_the_same_name_elsewhere(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    for folder, name in ((own, "own"), (other, "other")):
        folder.mkdir()
        (folder / "neighbour_of_grader.py").write_text(f"WHERE = '{name}'\n")
        (folder / "later_neighbour.py").write_text("LATER = True\n")
    sys.path.insert(0, str(other))
    source = """
    import neighbour_of_grader

    def score(question, answer, expected):
        import later_neighbour
        return later_neighbour.LATER, neighbour_of_grader.WHERE
    """
    assert (await scored(own, source)).why == "own"
    assert sys.path[0] == str(other)


def test_the_digest_changes_with_the_file_its_function_and_what_it_imports_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "digest_part.py").write_text("import digest_deep\nA = 1\n")
    (tmp_path / "digest_deep").mkdir()
    (tmp_path / "digest_deep" / "__init__.py").write_text("")
    (tmp_path / "digest_other.py").write_text("B = 1\n")
    source = (
        "from digest_part import A\nimport json.decoder\n\ndef score(q, a, e): return 1\n\ndef two(q, a, e): return 1\n"
    )
    place = written(tmp_path, source)

    def digest(place: str = place) -> str:
        return ByFunction(function_at(place)).digest

    first = digest()
    (tmp_path / "digest_other.py").write_text("B = 2\n")
    assert digest() == first == digest(str(tmp_path / "grader.py"))
    assert digest(place.replace(":score", ":two")) != first
    (tmp_path / "digest_deep" / "__init__.py").write_text("C = 1")
    second = digest()
    (tmp_path / "digest_part.py").write_text("this is not Python")
    third = digest() if "digest_part" in sys.modules else ""
    written(tmp_path, f"{source}\n# changed\n")
    assert len({first, second, third, digest()}) == 4


async def test_calls_of_a_function_do_not_overlap_unless_it_is_async(tmp_path: Path) -> None:
    source = """
    import threading

    busy, most, lock = 0, 0, threading.Lock()
    barrier = threading.Barrier(2)

    def score(question, answer, expected):
        global busy, most
        with lock:
            busy += 1
            most = max(busy, most)
        with lock:
            busy -= 1
        return 1, str(most)

    async def together(question, answer, expected):
        barrier.wait(20)
        return 1
    """
    function = function_at(written(tmp_path, source))
    scores = await anyio.amap(lambda answer: ByFunction(function)(question_of("4"), answer), "ab")
    assert {score.value for score in scores} == {1}
    scorer = ByFunction(function)
    assert {score.why for score in await anyio.amap(lambda answer: scorer(question_of("4"), answer), "abcdef")} == {"1"}
    together = ByFunction(function_at(f"{tmp_path / 'grader.py'}:together"))
    assert [score.value for score in await anyio.amap(lambda answer: together(question_of("4"), answer), "ab")] == [
        1,
        1,
    ]
