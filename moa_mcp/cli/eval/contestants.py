"""The pipelines, baselines and judge that the options of the command name."""

from __future__ import annotations

from collections.abc import Sequence

from moa_mcp.cli.options import Refused, named, nearest
from moa_mcp.cli.words import missing_pipelines
from moa_mcp.config import Config, Pipeline, single
from moa_mcp.errors import ConfigError
from moa_mcp.evaluation.contestants import Field

_LISTED = "moa-mcp check lists the models. Names such as openai/gpt-5-nano need no configuration."


def pipelines_of(config: Config, names: str | None) -> tuple[Pipeline, ...]:
    """Return the pipelines of a list with commas, by default that of the configuration. Raises `Refused`."""
    if names is None:
        if config.defaults.pipeline is None:
            raise missing_pipelines(config)
        return (config.pipelines[config.defaults.pipeline],)
    given = [each.strip() for each in names.split(",") if each.strip()]
    if not given:
        raise Refused("--pipelines names no pipeline", f"Pipelines: {', '.join(config.pipelines)}.")
    return tuple(named(config, each) for each in dict.fromkeys(given))


def check_baselines(config: Config, models: Sequence[str]) -> None:
    """Raise `Refused` for a baseline that is not a model."""
    for model in models:
        if model in config.pipelines and model not in config.models:
            raise Refused(f"--baseline {model}: that is a pipeline", f"Add it to --pipelines. {_LISTED}")
        _single(config, model, "--baseline")


def judge_of(config: Config, name: str | None) -> Pipeline | None:
    """Return the pipeline of that name, or one call of the model of that name. Raises `Refused`."""
    if name is None or name in config.pipelines:
        return None if name is None else config.pipelines[name]
    if "/" not in name and (near := nearest(name, config.pipelines)) and not nearest(name, config.models):
        raise Refused(f"--judge {name}: there is no such model or pipeline{near}", _LISTED)
    return _single(config, name, "--judge")


def check_baseline(field: Field) -> None:
    """Raise `Refused` if there is nothing to compare pipelines with."""
    if not field.baselines:
        why = "; ".join(field.obstacles)
        raise Refused(
            f"there is no baseline, since no sample of the pipelines is a single call of its model ({why})",
            "Name one with --baseline, such as --baseline openai/gpt-5-nano: it is asked each question once.",
        )


def _single(config: Config, name: str, option: str) -> Pipeline:
    try:
        return single(config, name, name)
    except ConfigError as error:
        raise Refused(f"{option} {name}: {error.problems[0].message}", _LISTED) from error
