"""The arguments of the provider, as ``inspect eval -M NAME=VALUE`` gives them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from msgspec import Struct

from moa_mcp.evaluation.inspecting.failures import refused
from moa_mcp.text.redact import redact
from moa_mcp.text.suggest import closest
from moa_mcp.text.visible import quoted

NAMES = ("pipelines", "offline", "journal", "budget")
_SWITCHES: Mapping[str, bool] = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class ModelArguments(Struct, frozen=True):
    """How the runs of a model are executed. Models with equal arguments share journal, limits and budget."""

    pipelines: str | None = None
    """The path of the configuration; None for that of the environment or the user. Inspect itself has a `config`."""
    offline: bool = False
    """Whether models are simulated."""
    journal: str | None = None
    """A path, the address of a database, or ``none``; None for the user's journal."""
    budget: Decimal | None = None
    """US dollars that the runs of one start of Inspect may cost together; None for no limit."""


def read(given: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> ModelArguments:
    """Return the arguments. The variables of the command line hold where one is not given.

    Raises:
        PrerequisiteError: one is unknown or has an invalid value.

    """
    for name in given:
        if name not in NAMES:
            near = closest(name, NAMES)
            meant = f"; did you mean {near}?" if near else "."
            known = f"The arguments are {', '.join(NAMES)}."
            raise refused(f"moa models have no argument {quoted(redact(name))}{meant} {known}")
    offline = given.get("offline", environ.get("MOA_MCP_OFFLINE", False) or False)
    return ModelArguments(
        _text("pipelines", given.get("pipelines")),
        _switch("offline", offline),
        _text("journal", given.get("journal", environ.get("MOA_MCP_JOURNAL") or None)),
        _dollars("budget", given.get("budget")),
    )


def _text(name: str, value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and value):
        raise _invalid(name, value, "a path")
    return value


def _switch(name: str, value: object) -> bool:
    found = value if isinstance(value, bool) else _SWITCHES.get(str(value).strip().lower())
    if found is None:
        raise _invalid(name, value, "true or false")
    return found


def _dollars(name: str, value: object) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(str(value).removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(0)
    if isinstance(value, bool) or not (amount.is_finite() and amount > 0):
        raise _invalid(name, value, "US dollars above 0, such as 0.25")
    return amount


def _invalid(name: str, value: object, expected: str) -> Exception:
    return refused(f"the argument {name} of moa models is {quoted(redact(str(value)))}; write {expected}")
