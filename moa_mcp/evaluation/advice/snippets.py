"""What to write in pipelines.toml for a recommendation: a pipeline that the parser of the configuration accepts.

It never replaces a pipeline: the changed one has a name of its own, so that both can be evaluated.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from moa_mcp.config import Config, Pipeline, StepDefaults, parse
from moa_mcp.errors import ConfigError
from moa_mcp.evaluation.advice.panel import Panel
from moa_mcp.steps import Step
from moa_mcp.steps.panel import panel_member

Table: TypeAlias = dict[str, Any]

_EXTRACTORS: Mapping[str, str] = {"number": "last_number", "choice": "choice", "text": "text"}
"""By the name of a scoring: what a vote extracts."""
_LONGEST_NAME = 48
_DEL = "\x7f"
_WIDTH = 100
_PASSES = 3


class Snippets:
    """Writes changed pipelines of a configuration."""

    def __init__(self, config: Config | None = None, text: str = "") -> None:
        """`text` is that of the configuration's file. Without a configuration there are no snippets."""
        self._config = config
        self._text = text

    def vote(self, panel: Panel) -> str | None:
        """Return the pipeline with a majority vote in place of all steps after the first."""
        extract = extractor(panel.scoring)
        vote = {"step": "vote", "method": "majority", "extract": extract}
        return self._of(panel, "vote", lambda steps: [steps[0], vote]) if extract is not None else None

    def cascade(self, panel: Panel, threshold: float) -> str | None:
        """Return the pipeline that ends after the first step if this share of its answers agrees."""
        extract = extractor(panel.scoring)
        share = int(threshold * 10_000) / 10_000  # rounded down: a share of 2/3 must reach it
        agree = {"step": "agree", "extract": extract, "share": share, "makers": 1}
        return self._of(panel, "cascade", lambda steps: [steps[0], agree, *steps[1:]]) if extract is not None else None

    def replaced(self, panel: Panel, weaker: str, better: str) -> str | None:
        """Return the pipeline with another member in place of one."""

        def change(steps: list[Table]) -> list[Table]:
            agents = [_renamed(each, weaker, better) for each in steps[0]["agents"]]
            return [{**steps[0], "agents": agents}, *steps[1:]]

        return self._of(panel, f"without_{_word(weaker)}", change, needs=weaker)

    def without(self, name: str, model: str) -> str | None:
        """Return the pipeline without a member of its first step."""

        def change(steps: list[Table]) -> list[Table]:
            agents = [each for each in steps[0]["agents"] if _model(each) != model]
            return [{**steps[0], "agents": agents}, *steps[1:]]

        return self._changed(name, f"without_{_word(model)}", change, needs=model)

    def passes(self, name: str, kind: str) -> str | None:
        """Return the pipeline whose judge sees the answers in several orders."""

        def change(steps: list[Table]) -> list[Table]:
            return [
                {**each, "passes": max(_PASSES, each.get("passes", 1))} if each["step"] == kind else each
                for each in steps
            ]

        return self._changed(name, "passes", change) if kind in {"vote", "rank"} else None

    def single(self, panel: Panel, model: str) -> str | None:
        """Return the pipeline of one call of a member."""
        return self._of(panel, _word(model), lambda steps: [{**steps[0], "agents": [model], "quorum": 1}])

    def sampled(self, panel: Panel, model: str, count: int) -> str | None:
        """Return the pipeline of several samples of a member and a majority vote."""
        extract = extractor(panel.scoring)
        vote = {"step": "vote", "method": "majority", "extract": extract}

        def change(steps: list[Table]) -> list[Table]:
            return [{**steps[0], "agents": [{"model": model, "samples": count}], "quorum": 1}, vote]

        return self._of(panel, f"{count}_{_word(model)}", change) if extract is not None else None

    def _of(
        self, panel: Panel, suffix: str, change: Callable[[list[Table]], list[Table]], needs: str = ""
    ) -> str | None:
        return self._changed(panel.name, suffix, change, needs)

    def _changed(
        self, name: str, suffix: str, change: Callable[[list[Table]], list[Table]], needs: str = ""
    ) -> str | None:
        """Return a changed pipeline; None if it can't be written, such as for a member that it does not have."""
        pipeline = None if self._config is None else self._config.pipelines.get(name)
        if self._config is None or pipeline is None or pipeline.steps[0].step != "propose":
            return None
        steps = [_table(each, self._config.defaults) for each in pipeline.steps]
        if needs and all(_model(each) != needs for each in steps[0]["agents"]):
            return None
        changed = change(steps)
        text = written(self._name(f"{name}_{suffix}"), _settings(pipeline, suffix), changed) if changed else ""
        return text if text and self._is_valid(text) else None

    def _name(self, wanted: str) -> str:
        taken = {} if self._config is None else self._config.pipelines
        names = (wanted[: _LONGEST_NAME - len(end)] + end for end in ("", *(f"_{number}" for number in range(2, 100))))
        return next(name for name in names if name not in taken)

    def _is_valid(self, text: str) -> bool:
        try:
            parse(f"{self._text}\n{text}")
        except ConfigError:
            return False
        return True


def extractor(scoring: str) -> object:
    """Return what a vote extracts to count the values that a scoring compared; None if no vote can."""
    if scoring in _EXTRACTORS:
        return _EXTRACTORS[scoring]
    try:
        table: dict[str, object] = tomllib.loads(f"extract = {scoring}")
    except tomllib.TOMLDecodeError:
        return None
    return table["extract"] if isinstance(table["extract"], dict) else None


def written(name: str, settings: Mapping[str, object], steps: Iterable[Mapping[str, object]]) -> str:
    """Return a pipeline as TOML."""
    lines = [f"[pipelines.{name}]", *(f"{key} = {_value(value)}" for key, value in settings.items()), "steps = ["]
    return "\n".join([*lines, *(f"    {_value(step)}," for step in steps), "]", ""])


def _settings(pipeline: Pipeline, suffix: str) -> Table:
    """Return the settings of a changed pipeline, as far as they differ from the defaults."""
    kept = {"max_cost_usd", "deadline_s", "answer_schema"}
    own = pipeline.model_dump(include=kept, exclude_none=True)
    return {"title": f"{pipeline.title} ({suffix.replace('_', ' ')})", "description": pipeline.description, **own}


def _table(step: Step, defaults: StepDefaults) -> Table:
    """Return a step as it is written, without what the defaults set."""
    table: Table = step.model_dump(exclude_defaults=True, by_alias=True)
    usual = {key: value for key, value in defaults.model_dump().items() if key in table and table[key] == value}
    own = {key: value for key, value in table.items() if key not in usual and value is not None}
    if "agents" in own:
        own["agents"] = _agents(own["agents"])
    for key in ("agent", "fallback_agent"):
        if key in own:
            own[key] = _single(own[key])
    return {"step": step.step, **own}


def _agents(agents: Iterable[Table]) -> list[object]:
    """Return members as they are written; those of a panel as one table."""
    found: list[Any] = []
    for each in agents:
        member = panel_member(each["model"]) if set(each) == {"model"} else None
        before = found[-1] if found else None
        if member is None:
            found.append(each["model"] if set(each) == {"model"} else each)
        elif isinstance(before, dict) and before.get("panel") == member.tier:
            before["members"] += 1
        else:
            found.append({"panel": member.tier, "members": 1})
    return found


def _single(agent: object) -> object:
    member = panel_member(agent) if isinstance(agent, str) else None
    return agent if member is None or member.number > 1 else {"panel": member.tier}


def _model(agent: object) -> str:
    return str(agent.get("model", "")) if isinstance(agent, dict) else str(agent)


def _renamed(agent: object, name: str, other: str) -> object:
    if _model(agent) != name:
        return agent
    return {**agent, "model": other} if isinstance(agent, dict) else other


def _word(model: str) -> str:
    """Return a model's name as a part of a pipeline's."""
    letters = "".join(each if each.isascii() and each.isalnum() else "_" for each in model.rpartition("/")[2].lower())
    return letters.strip("_") or "member"


def _value(value: object) -> str:
    """Return a value as TOML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace(_DEL, "\\u007f")
        case int() | float() | Decimal():
            return str(value)
        case Mapping():
            items = ", ".join(f"{_key(str(key))} = {_value(each)}" for key, each in value.items())
            return f"{{ {items} }}" if items else "{}"
        case _:
            return f"[{', '.join(_value(each) for each in _listed(value))}]"


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else ()


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _value(key)
