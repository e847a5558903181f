"""Earlier turns are shortened to the smallest window that is known."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa_mcp.images import Image
from moa_mcp.planning.earlier_turns import fitted
from moa_mcp.steps.prompts import ONLY_BEGINNING, ask
from moa_mcp.steps.windows import tokens
from moa_mcp.testing import pipeline
from moa_mcp.values import Message, Question

PIPELINE = pipeline(
    'steps = [{ step = "propose", agents = ["a", "b"], max_tokens = 500 }, { step = "aggregate", agent = "z" }]'
)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).flatmap(
    lambda text: st.integers(1, 120).map(lambda times: f"{text} " * times)
)
EXCHANGES = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(EXCHANGES, st.integers(600, 4000))
def test_what_is_left_fits_begins_with_the_user_and_is_cut_from_its_oldest_end(
    exchanges: list[tuple[str, str]], window: int
) -> None:
    turns = tuple(turn for asked, said in exchanges for turn in (Message("user", asked), Message("assistant", said)))
    question, note = fitted(PIPELINE, Question("Why?", turns=turns), {"a": window, "b": 10**6})
    kept = question.turns
    assert tokens(ask(question)) + 500 <= window or not kept
    assert bool(note) == (kept != turns)
    assert [turn.role for turn in kept] == [turn.role for turn in turns[len(turns) - len(kept) :]]
    assert not kept or kept[0].role == "user"
    for whole, shown in zip(turns[len(turns) - len(kept) :], kept, strict=True):
        assert shown == whole or whole.content.startswith(shown.content.removesuffix(ONLY_BEGINNING))
    if len(kept) > 2:
        assert kept[-2:] == turns[-2:]
    assert fitted(PIPELINE, Question("Why?", turns=turns), {}) == (Question("Why?", turns=turns), "")


def test_a_turn_that_was_cut_before_is_marked_once() -> None:
    turns = (Message("user", "Why?"), Message("assistant", f"{'word ' * 900}{ONLY_BEGINNING}"))
    question, note = fitted(PIPELINE, Question("How?", turns=turns), {"b": 1200})
    assert question.turns[0] == turns[0]
    assert question.turns[1].content.count(ONLY_BEGINNING) == 1
    assert note == "of 2 earlier turns, 1 shown only in part, to fit the context window of b (1200 tokens)"


@pytest.mark.parametrize(
    ("sizes", "own", "kept"),
    [
        ([4, 4, 2], 0, [4, 4, 2]),
        ([4, 4, 4], 0, [2, 4, 4]),
        ([10, 10], 10, [0, 0]),
        ([1], 10, [0]),
    ],
)
def test_the_oldest_images_of_a_conversation_are_left_out_with_a_note(
    sizes: list[int], own: int, kept: list[int]
) -> None:
    image = Image("https://a.example/b.png")
    turns = tuple(Message("user", "Why?", (image,) * size) for size in sizes)
    question, note = fitted(PIPELINE, Question("How?", turns=turns, images=(image,) * own), {})
    assert ([len(turn.images) for turn in question.turns], len(question.images)) == (kept, own)
    missing = sum(sizes) - sum(kept)
    told = f"of {sum(sizes) + own} images of the conversation, the oldest {missing} left out: models get at most"
    assert note.startswith(told) if missing else note == ""


def test_images_and_texts_of_a_conversation_are_left_out_together() -> None:
    large = Image("data:image/png;base64,", "image/png", 6 * 2**20, 10, 10, "a")
    turns = tuple(Message(role, "word " * 2000, (large,) * (role == "user")) for role in ("user", "assistant") * 4)
    question, note = fitted(PIPELINE, Question("How?", turns=turns), {"a": 3000, "b": 10**6})
    assert [len(turn.images) for turn in question.turns if turn.role == "user"] == [1]
    assert note.startswith("of 4 images of the conversation, the oldest 2 left out")
    assert "; of 8 earlier turns, " in note
