"""Questions of evaluations: JSON Lines and CSV with answers and choices, problems with their lines, and samples."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.batch.rows import Format
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.questions import QuestionFile, digest_of, read_questions, sampled
from tests.support.eval_desk import EvalDesk, sums

OPTIONS = {"question": "Which city?", "choices": ["Paris", "Rome", "Oslo"]}


def read(content: str, form: Format = "jsonl") -> QuestionFile:
    found = QuestionFile()
    result = read_questions(BytesIO(content.encode()).readlines(), form, found)
    assert [str(each) for each in result.problems] == []
    return found


def problems(content: str, form: Format = "jsonl") -> list[tuple[int, str]]:
    result = read_questions(BytesIO(content.encode()).readlines(), form, QuestionFile())
    return [(each.line, each.message) for each in result.problems]


def test_answers_are_texts_numbers_and_other_json() -> None:
    rows = [3, 0.5, "x", True, [1, "a"], {"b": None}]
    content = "".join(json.dumps({"question": f"{row}?", "answer": row}) + "\n" for row in rows)
    assert [each.answer for each in read(content).questions] == ["3", "0.5", "x", "true", '[1, "a"]', '{"b": null}']


def test_an_open_question_has_no_answer_and_its_line_as_its_id() -> None:
    first, second = read('"Why?"\n\n{"question": "How?", "answer": " ", "cluster": 7, "note": 1}\n').questions
    assert (first.id, first.answer, first.cluster) == ("1", None, None)
    assert (second.id, second.answer, second.cluster, second.item.line) == ("3", None, "7", 3)
    assert second.metadata == {"note": 1}


@pytest.mark.parametrize("answer", ["B", "b", "Rome", " Rome "])
def test_choices_are_shown_below_the_question_and_the_answer_is_a_letter(answer: str) -> None:
    (question,) = read(json.dumps({**OPTIONS, "answer": answer})).questions
    assert question.text == "Which city?\n\nA) Paris\nB) Rome\nC) Oslo"
    assert (question.answer, question.choices) == ("B", ("Paris", "Rome", "Oslo"))


def test_a_cell_has_its_choices_as_json_and_numbers_are_texts() -> None:
    content = 'question,choices,answer,images\nHow many?,"[1, 2, 3.5]",3.5,\nWhy?,,x,\n'
    first, second = read(content, "csv").questions
    assert (first.choices, first.answer) == (("1", "2", "3.5"), "C")
    assert (second.choices, second.answer, second.item.line) == ((), "x", 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**OPTIONS, "answer": "F"}, "its answer is 'F', and its choices go from A to C"),
        ({**OPTIONS, "answer": "Bern"}, "its answer 'Bern' is not among its choices; write a letter from A to C"),
        ({**OPTIONS, "answer": 1}, "its answer '1' is not among its choices"),
        (
            {"question": "?", "choices": ["B", "A"], "answer": "A"},
            "is the letter of one option and the text of option B",
        ),
        ({**OPTIONS, "choices": ["a"]}, "its choices are 1; write at least 2, or leave them out"),
        ({**OPTIONS, "choices": [str(n) for n in range(27)]}, "its choices are 27; write at most 26"),
        ({**OPTIONS, "choices": ["a", "b", " a"]}, "its choices A and C are the same: 'a'"),
        ({**OPTIONS, "choices": ["a", ""]}, "one of its choices is empty; write texts"),
        ({**OPTIONS, "choices": ["a", None]}, "one of its choices is null; write texts"),
        ({**OPTIONS, "choices": {"text": ["a"]}}, 'its choices are an object; write a list of texts, such as ["Paris"'),
        ({**OPTIONS, "choices": "a|b"}, "its choices are 'a|b'; write a list of texts"),
        ({"answer": 1}, "it has no \"question\"; its fields: 'answer'"),
        ({"prompt": "Why?", "target": 1}, "its fields: 'prompt', 'target'; rename 'prompt' to \"question\""),
        ({"question": "Why?", "target": 1}, 'it has no "answer"; rename \'target\' to "answer"'),
        ({"question": "Which?", "options": ["a", "b"]}, 'it has no "choices"; rename \'options\' to "choices"'),
        ({"question": "Why?", "anwser": 1}, "there is no field 'anwser'; did you mean answer?"),
        ({"question": "Why?", "cluster": [1]}, "its cluster is a list; write it as a text"),
        ({"question": "Why?", "id": 1.5}, "its id is a number; write it as a text or a whole number"),
    ],
)
def test_a_problem_has_its_value_and_its_remedy(row: dict[str, object], message: str) -> None:
    ((line, found),) = problems(json.dumps(row))
    assert (line, message in found) == (1, True), found


def test_an_answer_that_is_no_finite_number_is_a_problem() -> None:
    assert problems('{"question": "Why?", "answer": NaN}') == [
        (1, "its answer is nan; write a finite number, or a text")
    ]


def test_a_csv_file_with_other_names_is_told_the_right_one() -> None:
    ((line, found),) = problems("prompt,target\nWhy?,1\n", "csv")
    assert (line, "rename 'prompt' to \"question\"" in found) == (1, True)


def test_ids_differ_and_a_repeated_question_counts_once_unless_its_answers_differ() -> None:
    found = read('{"question": "a", "answer": 1}\n{"question": "a", "answer": "1", "id": "x"}\n')
    assert [each.id for each in found.questions] == ["1"]
    assert found.notes == ["line 2: an earlier line asks the same, so it counts once"]
    assert problems('{"question": "a", "id": 2}\n{"question": "b"}\n') == [
        (2, "its id '2' is that of line 1; ids must differ")
    ]
    assert problems('{"question": "a", "answer": 1}\n{"question": "a", "answer": 2}\n') == [
        (2, "line 1 asks the same with another answer; remove one of them")
    ]


def test_either_all_questions_have_an_answer_or_none() -> None:
    rows = [{"question": f"{number}?", **({} if number % 2 else {"answer": 1})} for number in range(20)]
    ((line, found),) = problems("".join(json.dumps(each) + "\n" for each in rows))
    assert line == 0
    assert found == (
        "10 of 20 questions have no answer (lines 2, 4, 6, 8, 10, 12, 14, 16 and 2 more); give all questions an "
        "answer, or none of them"
    )


def test_all_problems_are_told_at_once_and_equal_ones_once(eval_desk: EvalDesk) -> None:
    rows = [{**OPTIONS, "answer": "F"}, {"question": "b", "target": 1}, {"question": "c", "target": 1}, "d"]
    done = eval_desk.start(eval_desk.ask(rows))
    head, *shown, remedy = done.stderr.splitlines()
    assert done.exit_code == 2
    assert head.endswith("q.jsonl has 3 problems; nothing was started:")
    assert [each.split(":")[0] for each in shown] == ["  line 1", "  lines 2, 3"]
    assert remedy.startswith("Each line is")
    assert eval_desk.asked.total() == 0


def test_the_table_of_problems_of_a_csv_file_has_lines(eval_desk: EvalDesk) -> None:
    cells = '"[""a"",""b""]"'
    file = eval_desk.write(f"question,choices,answer\nOne?,{cells},a\nTwo?,{cells},c\nThree?,{cells}\n", "q.csv")
    done = eval_desk.start(file)
    assert "  line 3: its answer is 'c', and its choices go from A to B" in done.stderr
    assert "  line 4: it has 2 cells, and the first line 3" in done.stderr


def test_questions_come_from_stdin(eval_desk: EvalDesk) -> None:
    from tests.cli.test_cli import invoke  # noqa: PLC0415

    text = "".join(json.dumps(each) + "\n" for each in sums(2))
    environ = {"XDG_DATA_HOME": str(eval_desk.folder), "OPENAI_API_KEY": "k"}
    done = invoke(*eval_desk.command("-"), input=text, **environ)
    assert done.exit_code == 0, done.output
    assert eval_desk.result.source == "stdin"


def test_context_and_system_prompt_of_all_are_for_questions_without_their_own(eval_desk: EvalDesk) -> None:
    context = eval_desk.write("Of all.", "context.txt")
    own = {**sums(1)[0], "context": "Mine.", "system": "Me."}
    eval_desk.done(eval_desk.ask([own, sums(2)[1]]), "--context", context, "--system", "All.", "--concurrency", "1")
    first = [str(each.body) for each in eval_desk.requests if each.model == "first"]
    assert ("Mine." in first[0], "Me." in first[0], "All." in first[0]) == (True, True, False)
    assert ("Of all." in first[-1], "All." in first[-1]) == (True, True)


def numbered(count: int) -> list[EvalQuestion]:
    return read(
        "".join(json.dumps({"question": f"{number}?", "id": f"q{number}"}) + "\n" for number in range(count))
    ).questions


@given(st.permutations(numbered(12)), st.integers(0, 5), st.integers(1, 14), st.integers(1, 14))
def test_a_sample_depends_on_contents_and_seed_alone_and_is_nested(
    moved: list[EvalQuestion], seed: int, one: int, other: int
) -> None:
    small, large = sorted((one, other))
    ids = {each.id for each in sampled(moved, small, seed)}
    assert len(ids) == min(small, 12)
    assert ids == {each.id for each in sampled(numbered(12), small, seed)}
    assert ids <= {each.id for each in sampled(moved, large, seed)}
    assert [each.id for each in sampled(moved, large, seed)] == [
        each.id for each in moved if each.id in {each.id for each in sampled(moved, large, seed)}
    ]
    assert digest_of(moved) == digest_of(numbered(12))
