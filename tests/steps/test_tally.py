from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.steps.tally import Majority, borda, majority
from moa_mcp.values import Tally, Votes


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        (["4", "5", "5"], Majority(1, (), (), Tally((Votes("5", 2, (2, 3)), Votes("4", 1, (1,)))))),
        (["5", "4"], Majority(0, ("4",), (), Tally((Votes("5", 1, (1,)), Votes("4", 1, (2,)))))),
        (
            [None, "4", "5", None, "5", "4", "6"],
            Majority(
                1,
                ("5",),
                (0, 3),
                Tally((Votes("4", 2, (2, 6)), Votes("5", 2, (3, 5)), Votes("6", 1, (7,))), abstained=2),
            ),
        ),
        (["1"], Majority(0, (), (), Tally((Votes("1", 1, (1,)),)))),
        ([None, None], None),
        ([], None),
    ],
)
def test_the_majority_names_its_first_voice_its_ties_and_who_abstained(
    values: list[str | None], outcome: Majority | None
) -> None:
    assert majority(values) == outcome


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1))
def test_every_voice_and_every_abstention_is_in_the_tally(values: list[str | None]) -> None:
    outcome = majority(values)
    if outcome is None:
        assert not any(values)
    else:
        assert outcome.tally.of == len(values)
        assert outcome.readable + len(outcome.abstained) == len(values)
        assert values[outcome.winner] == outcome.value
        assert outcome.votes == max(values.count(value) for value in values if value)


@pytest.mark.parametrize(
    ("rankings", "count", "merged"),
    [
        ([(2, 0, 1)], 3, (2, 0, 1)),
        ([(0, 1, 2), (2, 1, 0)], 3, (0, 1, 2)),
        ([(0, 1, 2), (1, 2, 0), (1, 0, 2)], 3, (1, 0, 2)),
        # the first scores 3, the others share what is left: (2 + 1) / 2
        ([(2,)], 3, (2, 0, 1)),
        ([(2,), (1, 2, 0)], 3, (2, 1, 0)),
        ([(3,), (0, 1, 2, 3)], 4, (0, 1, 3, 2)),
        ([()], 3, (0, 1, 2)),
        ([], 2, (0, 1)),
    ],
)
def test_rankings_merge_by_borda_count_and_places_left_out_are_shared(
    rankings: list[tuple[int, ...]], count: int, merged: tuple[int, ...]
) -> None:
    assert borda(rankings, count) == merged


@given(st.lists(st.permutations(range(5)).flatmap(lambda order: st.integers(0, 5).map(lambda n: order[:n]))))
def test_a_merged_ranking_holds_every_answer_once(rankings: list[list[int]]) -> None:
    assert sorted(borda(rankings, 5)) == [0, 1, 2, 3, 4]


@given(st.permutations(range(5)))
def test_one_ranking_merges_to_itself(order: list[int]) -> None:
    assert borda([order], 5) == tuple(order)
