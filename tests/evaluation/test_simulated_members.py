"""The simulated members of the proofs have the competence that they state, and err together as stated."""

from __future__ import annotations

import json
import math
import urllib.request
from collections.abc import Callable, Sequence
from itertools import product
from statistics import correlation

import pytest

from moa_mcp.extraction.choices import choice_letter
from moa_mcp.extraction.fields import json_field
from moa_mcp.extraction.numbers import last_number
from moa_mcp.extraction.texts import whole_text
from tests.support.known_questions import KnownQuestion, as_choices, gym, in_json, sums
from tests.support.member_server import serving
from tests.support.simulated_members import NORMAL, Member, World, stated

ABLE = Member("able", 0.7, shared=0.3, own=0.2)
WEAK = Member("weak", 0.5, shared=0.3, own=0.2)
QUESTIONS = sums(4000)
WORLD = World((ABLE, WEAK), QUESTIONS, seed=5)


def right(member: Member, sample: str = "0") -> list[float]:
    return [float(WORLD.right(member, question, sample)) for question in QUESTIONS]


def joint(one: float, other: float, common: float) -> float:
    """Return the correlation of two 0/1 variables whose latent variables have this correlation."""
    cuts = NORMAL.inv_cdf(one), NORMAL.inv_cdf(other)
    steps = [(index + 0.5) / 4000 for index in range(4000)]
    given = [
        math.prod(NORMAL.cdf((cut - math.sqrt(common) * NORMAL.inv_cdf(step)) / math.sqrt(1 - common)) for cut in cuts)
        for step in steps
    ]
    both = sum(given) / len(given)
    return (both - one * other) / math.sqrt(one * (1 - one) * other * (1 - other))


def test_a_member_is_right_as_often_as_its_competence_says() -> None:
    for member in (ABLE, WEAK):
        assert sum(right(member)) / len(QUESTIONS) == pytest.approx(member.competence, abs=0.025)


def test_errors_go_together_as_stated_and_more_so_for_samples_of_one_member() -> None:
    assert correlation(right(ABLE), right(WEAK)) == pytest.approx(joint(0.7, 0.5, 0.3), abs=0.05)
    assert correlation(right(ABLE), right(ABLE, "1")) == pytest.approx(joint(0.7, 0.7, 0.5), abs=0.05)


EXTRACTORS: dict[str, Callable[[str], str | None]] = {
    "number": last_number,
    "choice": choice_letter,
    "text": whole_text,
    "json": lambda text: json_field(text, "result"),
}
KINDS: dict[str, Sequence[KnownQuestion]] = {
    "number": gym(60, "basic_arithmetic", "chain_sum", "lcm", "gsm_symbolic"),
    "choice": as_choices(gym(30, "lcm")),
    "text": gym(30, "spell_backward", "caesar_cipher"),
    "json": in_json(gym(20, "lcm", "spell_backward")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_answer_states_is_what_it_is_read_as(kind: str) -> None:
    questions = KINDS[kind]
    world, read = World((ABLE,), questions), EXTRACTORS[kind]
    for question, sample in product(questions, "012345"):
        assert question.kind == kind
        value = world.value(ABLE, question, sample)
        text = world.answer(ABLE, question, value, sample)
        assert (read(text), stated(question, text)) == (read(value), value), text
        assert (read(text) == read(question.right)) == (value == question.right), text


def test_equal_requests_get_equal_answers_unless_repeats_differ() -> None:
    question = QUESTIONS[0]
    body = {"model": "able", "n": 6, "messages": [{"role": "user", "content": question.text}]}
    for differ in (False, True):
        with serving((ABLE,), [question], repeats_differ=differ) as server:
            first, second = (answers(server.url, body) for _ in range(2))
            assert len({*first}) > 1
            assert (first == second) != differ
            assert [each.number for each in server.seen()] == [*range(6)] * 2


def answers(url: str, body: dict[str, object]) -> list[str]:
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request) as reply:
        return [each["message"]["content"] for each in json.load(reply)["choices"]]
