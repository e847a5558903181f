from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.prompts import read_ranking, read_vote


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ('{"answer": 2}', 2),
        (' {"answer":2}\n', 2),
        ('The second is best.\n\n{"answer": 2}', 2),
        ('```json\n{"answer": 2}\n```', 2),
        ('{"answer": 2, "why": "it {agrees} with 3"}', 2),
        ('{"answer": 2}\n\nThat is, {"answer": 2}.', 2),
        ('<think>Is it {"answer": 1}? No.</think>{"answer": 2}', 2),
        ('<think>a</think><think>{"answer": 1}</think>{"answer": 2}', 2),
        ('{"thought": {"answer": 1}, "answer": 2}', 2),
        ('{bad json} {"answer": 2} {"other": 1}', 2),
        ('{"answer": 2} {"unfinished', 2),
    ],
)
def test_a_vote_is_read_from_among_other_text(reply: str, number: int) -> None:
    assert read_vote(reply, 3) == number


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "2",
        "Answer 2 is the best.",
        "answer: 2",
        '{"answer": "2"}',
        '{"answer": 2.0}',
        '{"answer": true}',
        '{"answer": null}',
        '{"answer": [2]}',
        '{"answer": 0}',
        '{"answer": -1}',
        '{"answer": 4}',
        '{"Answer": 2}',
        '{"answer": 1} or {"answer": 2}',
        '{"answer": 2} {"answer": "none"}',
        '{"choice": {"answer": 2}}',
        '{"answer": 2',
        '["answer", 2]',
        '<think>Perhaps {"answer": 2}, but',
        '<think>{"answer": 2}</think>I am not sure.',
        pytest.param('{"answer": ' + "9" * 5000 + "}", id="a number too long to be one"),
        pytest.param("{" * 100_000, id="100 kB of braces"),
        pytest.param('{"a":' * 20_000, id="100 kB of nested objects"),
        pytest.param('{"answer": 2}' + "{" * 100_000, id="100 kB of braces behind it"),
    ],
)
def test_a_vote_is_not_guessed(reply: str) -> None:
    assert read_vote(reply, 3) is None


@pytest.mark.parametrize(
    ("reply", "ranking"),
    [
        ('{"ranking": [3, 1, 2]}', (3, 1, 2)),
        ('```json\n{"ranking": [3, 1, 2]}\n```', (3, 1, 2)),
        ('Answer 3 leads. {"ranking": [3, 1, 2], "tie": false}', (3, 1, 2)),
        ('<think>{"ranking": [1, 2, 3]}</think>\n{"ranking": [3, 1, 2]}', (3, 1, 2)),
        ('{"ranking": [3, 1, 2]} again: {"ranking": [3,1,2]}', (3, 1, 2)),
        ('{"ranking": [3, 1]}', (3, 1)),
        ('{"draft": {"ranking": [1, 2, 3]}, "ranking": [3, 1, 2]}', (3, 1, 2)),
    ],
)
def test_a_ranking_is_read_from_among_other_text(reply: str, ranking: tuple[int, ...]) -> None:
    assert read_ranking(reply, 3, 2) == ranking


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "3, 1, 2",
        "The top 3 are: 4, 2, 5",
        "I compared all 5 answers. Ranking: 2, 4",
        "First I thought 1, 2, 3; now I think 3, 2, 1.",
        "[3, 1, 2]",
        '{"ranking": "3, 1, 2"}',
        '{"ranking": [3]}',
        '{"ranking": []}',
        '{"ranking": {"1": 3}}',
        '{"ranking": [3, 1, 1]}',
        '{"ranking": [3, 1, 4]}',
        '{"ranking": [3, 1, 0]}',
        '{"ranking": [3, 1, -2]}',
        '{"ranking": [3, 1, true]}',
        '{"ranking": [3, 1, 2.0]}',
        '{"ranking": ["3", "1", "2"]}',
        '{"ranking": [3, 1, null]}',
        '{"ranking": [[3, 1, 2]]}',
        '{"ranking": [1, 2, 3]} no, {"ranking": [3, 1, 2]}',
        '{"ranking": [3, 1, 2]} {"ranking": "unclear"}',
        '{"result": {"ranking": [3, 1, 2]}}',
        '{"ranking": [3, 1, 2',
        pytest.param("{" * 100_000, id="100 kB of braces"),
        pytest.param('{"ranking":' + "[" * 100_000, id="100 kB of brackets"),
    ],
)
def test_a_ranking_is_not_guessed(reply: str) -> None:
    assert read_ranking(reply, 3, 2) is None


@given(st.permutations(range(1, 8)), st.text(st.characters(exclude_characters="{<")), st.text())
def test_a_ranking_is_read_whatever_stands_around_it(order: list[int], before: str, after: str) -> None:
    after = after.replace("{", "(").replace("<", "(")
    assert read_ranking(f"{before}{json.dumps({'ranking': order})}{after}", 7, 7) == tuple(order)


@given(st.text() | st.text('{}[]"answerki:,0123456789 \n'))
def test_no_reply_is_read_as_more_than_it_may_be(reply: str) -> None:
    assert read_vote(reply, 3) in {None, 1, 2, 3}
    ranking = read_ranking(reply, 3, 2)
    assert ranking is None or (len(set(ranking)) == len(ranking) >= 2 and set(ranking) <= {1, 2, 3})
