"""The provider of Inspect: ``moa/PIPELINE`` answers with a run of a pipeline, ``moa/one:MODEL`` with one call."""

from __future__ import annotations

from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    RetryDecision,
    ServedModelUsage,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from moa_mcp.config import Config, Pipeline
from moa_mcp.config.single import single
from moa_mcp.errors import ConfigError
from moa_mcp.evaluation.inspecting import arguments, hub, messages, opening, place
from moa_mcp.evaluation.inspecting.failures import NotSupported, refused
from moa_mcp.evaluation.inspecting.generation import configured
from moa_mcp.evaluation.inspecting.output import output_of, rates
from moa_mcp.text.redact import redact
from moa_mcp.text.suggest import closest

ONE = "one:"
"""Before the name of a model that is called once."""
_MILLION = 1_000_000
_CONNECTIONS = 32
"""Runs at once with ``--adaptive-connections false``. The requests of all runs have limits of their own."""
_REASONING = "the reasoning of earlier answers is not passed on, only their texts"


def pipeline_of(config: Config, name: str) -> Pipeline:
    """Return the pipeline that a name of a model means. Raises the error of `refused`."""
    if name.startswith(ONE):
        try:
            return single(config, name.removeprefix(ONE), name)
        except ConfigError as error:
            raise refused(f"moa/{name}: {error}") from error
    if name not in config.pipelines:
        near = closest(name, config.pipelines)
        meant = f"; did you mean moa/{near}?" if near else "."
        known = ", ".join(config.pipelines)
        raise refused(
            f"{config.source} has no pipeline {redact(name)!r}{meant} Pipelines: {known}. "
            f"One call of a model is moa/{ONE}MODEL."
        )
    return config.pipelines[name]


class PipelineModel(ModelAPI):
    """A pipeline as a model of Inspect. All runs of a process share journal, limits and budget."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  as the class of Inspect has it
        **model_args: object,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        if base_url is not None or api_key is not None:
            raise refused(f"moa/{model_name} has neither a base URL nor a key; set those of its models' routes")
        self._arguments = arguments.read(model_args)
        lent = hub.lent()
        self._config = opening.loaded(self._arguments.pipelines) if lent is None else lent.config
        given = None if lent is None else lent.pipelines.get(model_name)
        self._pipeline = given or pipeline_of(self._config, model_name)
        self._told: set[str] = set()

    async def generate(
        self,
        input: list[ChatMessage],  # noqa: A002  the name that Inspect passes
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Return the answer of a run. Raises `RunUnanswered` if there is none."""
        del tool_choice
        if tools:
            names = ", ".join(each.name for each in tools)
            raise NotSupported(
                f"moa/{self.model_name} calls no tools, and the task gives it {names}; evaluate it with a task whose "
                "solver uses none, such as generate()"
            )
        asked = messages.read(input)
        given = configured(self._pipeline, config, self._config)
        answering = await hub.answering(self._arguments)
        notes = [*given.without_effect, *([_REASONING] if asked.without_reasoning else [])]
        for note in [each for each in notes if each not in self._told]:
            self._told.add(note)
            answering.noted(f"moa/{self.model_name}: {note}")
        question = asked.asking(given.answer_schema)
        reply = await answering(self.model_name, given.pipeline, question, place.current(), given.seed)
        return output_of(f"moa/{self.model_name}", reply)

    async def aclose(self) -> None:
        """Close the shared runs of this event loop; a later call opens them again."""
        await hub.close()

    def should_retry(self, ex: Exception) -> RetryDecision:
        """Never: each call of a run was retried already, and Inspect would repeat without a limit."""
        del ex
        return RetryDecision.no()

    def connection_key(self) -> str:
        """Pipelines share connections, since they share models."""
        return "moa"

    def max_connections(self) -> int:
        return _CONNECTIONS

    def served_model_usage(self, output: ModelOutput) -> list[ServedModelUsage] | None:
        """Return what makes the cost in the log that of the run."""
        priced = rates(output)
        name = f"moa/{self.model_name}"
        return None if priced is None else [ServedModelUsage(name, ModelUsage(input_tokens=_MILLION), priced)]
