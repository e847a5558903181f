from __future__ import annotations

import re
from decimal import Decimal

import pytest

from moa_mcp import errors
from moa_mcp.errors import (
    AnswerEmpty,
    AnswerRefused,
    AuthFailed,
    CallError,
    ConfigError,
    ConnectionFailed,
    ContextTooLong,
    Failure,
    MissingKey,
    MoaError,
    ModelNotFound,
    ParameterRefused,
    Problem,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    RunNotFound,
    ServerFailed,
    TimedOut,
)
from moa_mcp.values import Usage


@pytest.mark.parametrize(
    ("error", "retryable", "elsewhere", "paid"),
    [
        (MissingKey(""), False, False, False),
        (AuthFailed(""), False, True, False),
        (QuotaExceeded(""), False, True, False),
        (ModelNotFound(""), False, True, False),
        (RequestRefused(""), False, False, False),
        (ParameterRefused("", parameter="x"), False, False, False),
        (ContextTooLong(""), False, False, False),
        (AnswerRefused(""), False, False, None),
        (AnswerEmpty("", at_limit=True), False, False, True),
        (RateLimited(""), True, True, False),
        (ServerFailed(""), True, True, False),
        (ConnectionFailed(""), True, True, None),
        (TimedOut(""), True, True, None),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_call_error_says_whether_it_may_pass_pass_elsewhere_and_was_paid(
    error: CallError, retryable: bool, elsewhere: bool, paid: bool | None
) -> None:
    assert (error.retryable, error.elsewhere, error.paid) == (retryable, elsewhere, paid)


def test_the_tree_that_is_drawn_is_the_tree_that_is_there() -> None:
    assert errors.__doc__
    drawn = set(re.findall(r"(?:├──|└──) (\w+)", errors.__doc__))

    def names(kind: type[MoaError]) -> set[str]:
        return {kind.__name__ for kind in kind.__subclasses__()}.union(*map(names, kind.__subclasses__()))

    assert {name for name in names(MoaError) if hasattr(errors, name)} == drawn


def test_what_is_kept_of_a_failure_is_its_kind_its_text_and_what_it_cost() -> None:
    error = RateLimited("slow down", retry_after_s=3)
    error.usage, error.cost_usd = Usage(1, 2), Decimal("0.5")
    assert Failure.of(error) == Failure(
        "RateLimited", "slow down", retryable=True, paid=False, usage=Usage(1, 2), cost_usd=Decimal("0.5")
    )


def test_a_configuration_error_holds_its_problems_and_names_its_file() -> None:
    one, whole = Problem("models.m", "is wrong"), Problem("", "is odd")
    assert str(ConfigError("f.toml", [one])) == "f.toml: models.m: is wrong"
    assert str(ConfigError("f.toml", [whole])) == "f.toml: is odd"
    both = ConfigError("f.toml", [one, whole])
    assert (both.source, both.problems) == ("f.toml", (one, whole))
    assert str(both) == "f.toml: 2 problems\n  models.m: is wrong\n  is odd"


def test_an_unknown_run_is_named() -> None:
    assert str(RunNotFound("r1")) == "there is no run 'r1' in the journal"
