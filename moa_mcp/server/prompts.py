"""Prompts that help a person choose a pipeline and ask it a question."""

from __future__ import annotations

import mcp_types as types
from mcp.shared.exceptions import MCPError

from moa_mcp.config import Config
from moa_mcp.server.doors import Doors
from moa_mcp.server.pages import only_page
from moa_mcp.server.waiting import Context

_CHOOSE = types.Prompt(
    name="choose_pipeline",
    title="Choose a pipeline",
    description="Recommends a configured pipeline for a task, with its number of model calls and the reason.",
    arguments=[types.PromptArgument(name="task", description="The task or question.", required=True)],
)
_ASK = types.Prompt(
    name="ask_panel",
    title="Ask a pipeline",
    description="Asks a pipeline a question and reports the answer, the cost and any problems.",
    arguments=[
        types.PromptArgument(name="question", description="The question.", required=True),
        types.PromptArgument(
            name="pipeline", description="Name of the pipeline. If omitted, the assistant chooses one."
        ),
    ],
)


class Prompts:
    """Lists the prompts and fills them in."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def list(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        """Return all prompts."""
        del context
        only_page(params, "prompts")
        return types.ListPromptsResult(prompts=[_CHOOSE, _ASK])

    async def get(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        """Return a prompt with its arguments filled in."""
        config = self._doors.of(context).config
        arguments = params.arguments or {}
        prompt = {_CHOOSE.name: _CHOOSE, _ASK.name: _ASK}.get(params.name)
        if prompt is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
        for argument in prompt.arguments or ():
            if argument.required and not arguments.get(argument.name, "").strip():
                raise MCPError(types.INVALID_PARAMS, f"Missing argument: {argument.name}")
        text = _choose(config, arguments["task"]) if prompt is _CHOOSE else _ask(config, arguments)
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description=prompt.description, messages=[message])


def _choose(config: Config, task: str) -> str:
    return (
        "Which of these pipelines fits my task best? Name one, explain why in two sentences, and give its number "
        "of model calls. If a single model would do as well, say so instead. Do not run anything yet.\n\n"
        f"{_menu(config)}\n\nMy task:\n{task}"
    )


def _ask(config: Config, arguments: dict[str, str]) -> str:
    pipeline = arguments.get("pipeline", "")
    if pipeline and pipeline not in config.pipelines:
        known = ", ".join(config.pipelines)
        raise MCPError(types.INVALID_PARAMS, f"Unknown pipeline: {pipeline} (available: {known})")
    which = (
        f"Use the tool {pipeline}"
        if pipeline
        else f"Choose the best of these tools for the question:\n\n{_menu(config)}\n\nUse it"
    )
    return (
        f"{which} to answer the question below. Report the answer, then on one line the status, time and cost, and "
        "any note that I should know. If the status is running, call moa_wait with the run_id.\n\n"
        f"{arguments['question']}"
    )


def _menu(config: Config) -> str:
    return "\n".join(f"- {each.name}: {each.description}" for each in config.pipelines.values())
