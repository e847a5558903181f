"""The text of a first pipelines.toml: short, with comments that say what each line does. It accesses no file."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from itertools import cycle, islice

from msgspec import Struct

from moa_mcp.budget.proposed import ProposedBudget
from moa_mcp.cli.draw import names
from moa_mcp.cli.text import line
from moa_mcp.config import Pipeline
from moa_mcp.steps.panel import Tier
from moa_mcp.text.money import dollars

PANEL = "panel"
QUICK = "quick"
QUICK_MEMBERS = 3
_WIDTH = 110
_CENT = Decimal("0.01")
_MERGED_BY: Mapping[Tier, Tier] = {
    "fast": "balanced",
    "balanced": "strong",
    "strong": "strong",
    "reasoning": "reasoning",
}
"""By panel of the members: the panel of the model that merges their answers."""


class Choices(Struct, frozen=True):
    """What the user decides about the file."""

    tier: Tier
    members: int
    programs: tuple[str, ...] = ()
    """The programs that answer, for users without keys and local servers; empty for panels."""
    quick: bool = True
    """Whether it has a second, cheaper pipeline."""
    local_too: bool = False
    """Whether it shows how local models become members beside hosted ones."""


class Facts(Struct, frozen=True):
    """What its comments say about the day on which it is written."""

    today: date
    resolved: Mapping[str, Pipeline]
    """The pipelines with the models that answer."""
    expected_usd: Decimal | None
    """The expected cost of a usual question with the first pipeline; None if it is unknown."""
    budget: ProposedBudget | None
    """None for programs, whose subscriptions have no price for each run."""


def document(choices: Choices, facts: Facts | None = None) -> str:
    """Return the text of the file; without facts, only its models and pipelines."""
    parts = [
        *([_heading(facts)] if facts else []),
        ["[defaults]", f'pipeline = "{PANEL}" # what moa-mcp ask and moa-mcp chat use if you name none'],
        *map(_program, choices.programs),
        _panel(choices, facts),
        *([_quick(facts)] if choices.quick else []),
        *([_panels()] if choices.local_too else []),
        *([_budget(facts, facts.budget)] if facts and facts.budget else []),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _heading(facts: Facts) -> list[str]:
    return [
        f"# Written by moa-mcp init on {facts.today}. After a change, run moa-mcp check.",
        "# This file replaces the pipelines that ship with moa-mcp. Each pipeline is a tool of the MCP server.",
    ]


def _program(name: str) -> list[str]:
    return [
        f"[models.{name}]",
        f'routes = [{{ command = "{name}" }}] # uses your login; write its full path if a client can\'t find it',
    ]


def _panel(choices: Choices, facts: Facts | None) -> list[str]:
    return [
        f"[pipelines.{PANEL}]",
        "# An assistant reads the description to decide when to use the tool.",
        _description(f"Merges {choices.members} answers into one. For hard open-ended questions.", choices.members),
        "steps = [",
        *(_with_programs(choices) if choices.programs else _with_panels(choices, facts)),
        "]",
    ]


def _with_programs(choices: Choices) -> Iterator[str]:
    counts = Counter(islice(cycle(choices.programs), choices.members))
    agents = ", ".join(f'{{ model = "{name}", samples = {count} }}' for name, count in counts.items())
    first, *others = choices.programs
    fallback = f', fallback_agent = "{others[0]}"' if others else ""
    yield from _comment("Each program answers on its own, as many times as samples says.")
    yield f'    {{ step = "propose", agents = [{agents}] }},'
    yield from _comment("One writes the final answer." + (" If it fails, another one does." if others else ""))
    yield f'    {{ step = "aggregate", agent = "{first}"{fallback} }},'


def _with_panels(choices: Choices, facts: Facts | None) -> Iterator[str]:
    merged_by = f'{{ panel = "{_MERGED_BY[choices.tier]}" }}'
    answer = "These models answer, each on its own. They are chosen at each start from those that you can use."
    yield from _comment(f"{answer} {_today(facts, PANEL)}")
    yield f'    {{ step = "propose", agents = {{ panel = "{choices.tier}", members = {choices.members} }} }},'
    yield from _comment(f"One model merges the answers; if it fails, another one does. {_last(facts, PANEL)}")
    yield f'    {{ step = "aggregate", agent = {merged_by}, fallback_agent = {merged_by} }},'


def _quick(facts: Facts | None) -> list[str]:
    fast = '{ panel = "fast" }'
    returns = f"Returns the most consistent of {QUICK_MEMBERS} answers by small models, unchanged."
    return [
        f"[pipelines.{QUICK}]",
        _description(f"{returns} For one right answer: facts, math, multiple choice.", QUICK_MEMBERS),
        "steps = [",
        *_comment(f"Small, cheap models answer. {_today(facts, QUICK)}"),
        f'    {{ step = "propose", agents = {{ panel = "fast", members = {QUICK_MEMBERS} }} }},',
        *_comment(f"One model chooses among the answers. {_last(facts, QUICK)}"),
        f'    {{ step = "vote", agent = {fast}, fallback_agent = {fast} }},',
        "]",
    ]


def _description(text: str, members: int) -> str:
    return f'description = "{text} {members + 1} model calls in 2 layers."'


def _panels() -> list[str]:
    return ["[panels]", '# local = "always" # also choose models of your local servers']


def _budget(facts: Facts, budget: ProposedBudget) -> list[str]:
    amounts = {
        "max_cost_usd": (budget.max_cost_usd, "the most that one run may cost; calls beyond it are skipped"),
        "max_cost_usd_per_day": (budget.max_cost_usd_per_day, "the most that all runs of a day (UTC) may cost"),
        "confirm_above_usd": (budget.confirm_above_usd, "a run that is expected to cost more asks you first"),
    }
    lines = [(f"{name} = {_number(each)}", why) for name, (each, why) in amounts.items() if each is not None]
    width = max(len(setting) for setting, _ in lines)
    if facts.expected_usd is None:
        head = "# The price of a model above is unknown, so it does not count. For models with a price:"
    else:
        head = f"# US dollars. A usual question costs about {dollars(facts.expected_usd)} with {PANEL}."
    return [head, "[budget]", *(f"{setting:{width}} # {why}" for setting, why in lines)]


def _today(facts: Facts | None, name: str) -> str:
    return f"On {facts.today}: {names(facts.resolved[name].steps[0].models)}." if facts else ""


def _last(facts: Facts | None, name: str) -> str:
    if facts is None:
        return ""
    last = facts.resolved[name].steps[-1]
    fallback = f", else {line(last.fallback)}" if last.fallback else ""
    return f"On {facts.today}: {names(last.models)}{fallback}."


def _comment(text: str) -> list[str]:
    indent = "    # "
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _number(amount: Decimal) -> str:
    """Return an amount with at least two decimals, as TOML writes it."""
    in_cents = amount.quantize(_CENT)
    return f"{in_cents if in_cents == amount else amount.normalize():f}"
