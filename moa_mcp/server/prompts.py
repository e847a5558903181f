"""Prompts that help a person choose a pipeline and put a question to it."""

from __future__ import annotations

import mcp_types as types
from mcp.shared.exceptions import MCPError

from moa_mcp.config import Config
from moa_mcp.server.pages import only_page
from moa_mcp.server.waiting import Context

_CHOOSE = types.Prompt(
    name="choose_pipeline",
    title="Which panel of models fits?",
    description="Weighs the configured pipelines for a task and proposes one, with its calls and the reason.",
    arguments=[types.PromptArgument(name="task", description="What you want to have answered or done.", required=True)],
)
_ASK = types.Prompt(
    name="ask_panel",
    title="Ask a panel of models",
    description="Puts a question to a pipeline and reports its answer, cost and anything that went wrong.",
    arguments=[
        types.PromptArgument(name="question", description="The question.", required=True),
        types.PromptArgument(name="pipeline", description="Which pipeline; left open, the best fit is chosen."),
    ],
)


class Prompts:
    """Lists the prompts and fills them in."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def list(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        """Return all prompts."""
        del context
        only_page(params, "prompts")
        return types.ListPromptsResult(prompts=[_CHOOSE, _ASK])

    async def get(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        """Return a prompt with its arguments in place."""
        del context
        arguments = params.arguments or {}
        prompt = {_CHOOSE.name: _CHOOSE, _ASK.name: _ASK}.get(params.name)
        if prompt is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
        for argument in prompt.arguments or ():
            if argument.required and not arguments.get(argument.name, "").strip():
                raise MCPError(types.INVALID_PARAMS, f"Missing argument: {argument.name}")
        text = self._choose(arguments["task"]) if prompt is _CHOOSE else self._ask(arguments)
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description=prompt.description, messages=[message])

    def _choose(self, task: str) -> str:
        return (
            "Which of these pipelines fits my task best? Name one, say why in two sentences, and say how many model "
            "calls it makes. If a single model would do as well, say so instead. Do not run anything yet.\n\n"
            f"{self._menu()}\n\nMy task:\n{task}"
        )

    def _ask(self, arguments: dict[str, str]) -> str:
        pipeline = arguments.get("pipeline", "")
        if pipeline and pipeline not in self._config.pipelines:
            known = ", ".join(self._config.pipelines)
            raise MCPError(types.INVALID_PARAMS, f"Unknown pipeline: {pipeline}; there are {known}")
        which = (
            f"Use the tool {pipeline}"
            if pipeline
            else f"Use the fitting one of these tools:\n\n{self._menu()}\n\nUse it"
        )
        return (
            f"{which} to answer the question below. Report its answer, then in one line its status, seconds and cost, "
            "and anything in its notes that I should know. If it is still running, wait for it with moa_wait.\n\n"
            f"{arguments['question']}"
        )

    def _menu(self) -> str:
        return "\n".join(f"- {each.name}: {each.description}" for each in self._config.pipelines.values())
