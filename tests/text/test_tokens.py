"""Counts of tokens: the bounds stand in their order for any text, and an upper bound is one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.text.tokens import CAUTIOUS, EXPECTED, LOWER, UPPER, size

TEXTS = st.lists(st.text(), min_size=1, max_size=4)


@given(TEXTS, st.integers(0, 10_000))
def test_the_bounds_are_in_order_for_any_conversation(texts: list[str], unwritten: int) -> None:
    counts = [bound.messages(texts, unwritten) for bound in (LOWER, EXPECTED, CAUTIOUS, UPPER)]
    if "".join(texts).isascii():
        assert counts == sorted(counts)
    assert counts[0] <= counts[2] <= counts[3]


@given(st.text(alphabet=st.characters()))
def test_an_upper_bound_has_a_token_for_every_byte(text: str) -> None:
    assert UPPER.text(text) == size(text) == len(text.encode("utf-8", "surrogatepass"))


def test_a_count_of_no_text_is_what_its_messages_take() -> None:
    assert [bound.messages(["", ""]) for bound in (LOWER, EXPECTED, CAUTIOUS, UPPER)] == [0, 8, 8, 32]


@given(st.text(), st.integers(0, 1000))
def test_an_answer_counted_like_one_that_does_not_exist_yet_is_not_below_its_size(text: str, tokens: int) -> None:
    assert UPPER.messages([""], UPPER.unwritten(text)) >= UPPER.messages([text])
    assert EXPECTED.text("x" * EXPECTED.characters(tokens)) == tokens
