"""What happens if a later release of Inspect moves the private names that can be missing."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest

from moa_mcp.evaluation.inspecting.private import prerequisite, sample_active
from tests.support.inspecting import Bench, restored


def test_without_the_sample_a_call_counts_as_made_outside_of_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.log._samples", None)
    caplog.set_level(logging.WARNING)

    assert [sample_active(), sample_active()] == [None, None]

    assert caplog.text.count("does not tell samples apart") == 1


def test_outside_of_samples_equal_questions_are_told_apart_by_their_order(bench: Bench) -> None:
    async def asked_twice() -> list[str]:
        model = bench.model("one:small")
        answers = [(await model.generate("Why?")).completion for _ in range(2)]
        await model.api.aclose()
        return answers

    with restored():
        first = asyncio.run(asked_twice())
        assert asyncio.run(asked_twice()) == first
    assert (len(set(first)), bench.asked) == (2, {"small": 2})


def test_without_its_error_that_of_a_wrong_argument_has_the_same_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai._util.error", None)
    assert repr(prerequisite("wrong")) == "ValueError('wrong')"
