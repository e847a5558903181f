"""One call of a model as a pipeline: the baseline of an evaluation, and a judge that is one model."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from moa_mcp.config.reader import Reader
from moa_mcp.config.tables import Config, Pipeline
from moa_mcp.errors import ConfigError
from moa_mcp.routing.routes import Route, is_route
from moa_mcp.steps.panel import TIERS

_NAME = "single"


def single(config: Config, model: str, name: str) -> Pipeline:
    """Return the pipeline that asks a model once, with the defaults of the configuration.

    `model` is an alias, a route such as ``openai/gpt-5-nano``, or a panel, which chooses one model. An alias precedes a
    panel of the same name.

    Raises:
        ConfigError: there is no such model.

    """
    of_panel = model in TIERS and model not in config.models
    step = {"step": "propose", "agents": [{"panel": model, "members": 1} if of_panel else model]}
    reader = Reader()
    found = reader.pipeline(_NAME, {"title": name, "steps": [step]}, config)
    if found is None or reader.problems:
        raise ConfigError(config.source, reader.problems)
    return found.model_copy(update={"name": name})


def routed(config: Config, names: Iterable[str]) -> Config:
    """Return a configuration that also has the routes among these names, each as a model of that name."""
    routes = {each: (Route(model=each),) for each in names if is_route(each)}
    return replace(config, models={**routes, **config.models})
