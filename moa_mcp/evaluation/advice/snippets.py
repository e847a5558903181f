"""What to write in pipelines.toml for a recommendation: a pipeline that the parser of the configuration accepts.

It never replaces a pipeline: the changed one has a name of its own, so that both can be evaluated.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from moa_mcp.config import STEP_TYPES, Config, Pipeline, parse
from moa_mcp.errors import ConfigError
from moa_mcp.evaluation.advice.panel import Panel
from moa_mcp.evaluation.advice.tables import Table, model_of, pipeline_text, renamed, step_table

Change: TypeAlias = Callable[[list[Table]], list[Table]]

_EXTRACTORS: Mapping[str, str] = {"number": "last_number", "choice": "choice", "text": "text"}
"""By the name of a scoring: what a vote extracts."""
_LONGEST_NAME = 48
_PASSES = 3


class Snippets:
    """Writes changed pipelines of a configuration."""

    def __init__(self, config: Config | None = None, text: str = "") -> None:
        """`text` is that of the configuration's file. Without a configuration there are no snippets."""
        self._config = config
        self._text = text

    def vote(self, panel: Panel) -> str | None:
        """Return the pipeline with a majority vote in place of all steps after the first."""
        extract = extractor(panel.way)
        vote = {"step": "vote", "method": "majority", "extract": extract}
        if extract is None or not self._is_whole(panel):
            return None
        return self._of(panel, "majority", lambda steps: [steps[0], vote])

    def cascade(self, panel: Panel, threshold: float) -> str | None:
        """Return the pipeline that ends after the first step if this share of its answers agrees."""
        extract = extractor(panel.way)
        share = int(threshold * 10_000) / 10_000  # rounded down: a share of 2/3 must reach it
        agree = {"step": "agree", "extract": extract, "share": share, "makers": 1}
        if extract is None or not self._is_whole(panel):
            return None
        return self._of(panel, "cascade", lambda steps: [steps[0], agree, *steps[1:]])

    def replaced(self, panel: Panel, weaker: str, better: str) -> str | None:
        """Return the pipeline with another member in place of one."""

        def change(steps: list[Table]) -> list[Table]:
            agents = [renamed(each, weaker, better) for each in steps[0]["agents"]]
            return [{**steps[0], "agents": agents}, *steps[1:]]

        return self._of(panel, f"without_{_word(weaker)}", change, needs=weaker)

    def without(self, name: str, model: str) -> str | None:
        """Return the pipeline without a member of its first step."""

        def change(steps: list[Table]) -> list[Table]:
            agents = [each for each in steps[0]["agents"] if model_of(each) != model]
            return [{**steps[0], "agents": agents}, *steps[1:]]

        return self._changed(name, f"without_{_word(model)}", change, needs=model)

    def passes(self, name: str, kind: str) -> str | None:
        """Return the pipeline whose judge sees the answers in several orders."""

        def change(steps: list[Table]) -> list[Table]:
            return [
                {**each, "passes": max(_PASSES, each.get("passes", 1))} if each["step"] == kind else each
                for each in steps
            ]

        return self._changed(name, "passes", change) if "passes" in STEP_TYPES[kind].model_fields else None

    def single(self, panel: Panel, model: str) -> str | None:
        """Return the pipeline of one call of a member."""
        return self._of(panel, _word(model), lambda steps: [{**steps[0], "agents": [model], "quorum": 1}])

    def sampled(self, panel: Panel, model: str, count: int) -> str | None:
        """Return the pipeline of several samples of a member and a majority vote."""
        extract = extractor(panel.way)
        vote = {"step": "vote", "method": "majority", "extract": extract}

        def change(steps: list[Table]) -> list[Table]:
            return [{**steps[0], "agents": [{"model": model, "samples": count}], "quorum": 1}, vote]

        return self._of(panel, f"{count}_{_word(model)}", change) if extract is not None else None

    def _is_whole(self, panel: Panel) -> bool:
        """Whether the samples are all answers of the first step. Those with another prompt are not among them."""
        pipeline = None if self._config is None else self._config.pipelines.get(panel.name)
        most = max(len(each.samples) for each in panel.outcomes)
        return pipeline is not None and pipeline.steps[0].answers_out(0) == most

    def _of(self, panel: Panel, suffix: str, change: Change, needs: str = "") -> str | None:
        return self._changed(panel.name, suffix, change, needs)

    def _changed(self, name: str, suffix: str, change: Change, needs: str = "") -> str | None:
        """Return a changed pipeline; None if it can't be written, such as for a member that it does not have."""
        pipeline = None if self._config is None else self._config.pipelines.get(name)
        if self._config is None or pipeline is None:
            return None
        steps = [step_table(each, self._config.defaults) for each in pipeline.steps]
        if needs and all(model_of(each) != needs for each in steps[0]["agents"]):
            return None
        text = pipeline_text(self._name(f"{name}_{suffix}"), _settings(pipeline, suffix), change(steps))
        return text if self._is_valid(text) else None

    def _name(self, wanted: str) -> str:
        taken = frozenset[str]() if self._config is None else self._config.pipelines.keys()
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
    found = table["extract"]
    return cast("Table", found) if isinstance(found, dict) else None


def _settings(pipeline: Pipeline, suffix: str) -> Table:
    """Return the settings of a changed pipeline. Its description would be that of other steps."""
    kept = {"max_cost_usd", "deadline_s", "answer_schema"}
    own = pipeline.model_dump(include=kept, exclude_none=True)
    return {"title": f"{pipeline.title} ({suffix.replace('_', ' ')})", **own}


def _word(model: str) -> str:
    """Return a model's name as a part of a pipeline's."""
    letters = "".join(each if each.isascii() and each.isalnum() else "_" for each in model.rpartition("/")[2].lower())
    return letters.strip("_") or "member"
