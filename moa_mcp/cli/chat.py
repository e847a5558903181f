"""``moa-mcp chat``: a conversation with a pipeline in the terminal. The answers go to stdout, the rest to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import click
from platformdirs import user_data_path

from moa_mcp.cli import completing
from moa_mcp.cli.admitting import consent, yes_option
from moa_mcp.cli.asked import (
    asked_options,
    context_of,
    context_option,
    continue_option,
    deadline_option,
    models_chosen,
)
from moa_mcp.cli.conversation import ChatSetup, Conversation
from moa_mcp.cli.options import (
    Refused,
    config_option,
    journal_option,
    loaded,
    max_cost_option,
    named,
    offline_option,
    opened,
)
from moa_mcp.cli.remedies import Remedies
from moa_mcp.cli.screen import DisplayOptions
from moa_mcp.cli.signals import INTERRUPTED, Interrupted
from moa_mcp.cli.text import line, say
from moa_mcp.cli.typed import MARK, TypedQuestions
from moa_mcp.cli.watch import ready
from moa_mcp.cli.words import earlier_run, missing_pipeline, usual_pipeline
from moa_mcp.config import Config, Pipeline
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.runs import NewRun
from moa_mcp.values import Question

_HELP = f"""\
/new              Start a new conversation.
/pipeline [NAME]  Ask another pipeline from now on; without a name, list them.
/runs             List the runs of this conversation.
/help             Show this list.
/quit             End; Ctrl-D does the same. Ctrl-C cancels a run.
A line is a question. Several lines are one question between {MARK} and {MARK}, or if they are pasted."""


@click.command(
    "chat",
    epilog="With questions on stdin, each line is one; the first without an answer ends the command. "
    "Exit codes: those of moa-mcp ask; 0 at the end of a conversation in a terminal.",
)
@click.argument("pipeline", required=False, metavar="[PIPELINE]", shell_complete=completing.pipelines)
@context_option
@continue_option
@asked_options
@max_cost_option
@deadline_option
@yes_option
@click.option("-q", "--quiet", is_flag=True, help="Don't print the trace and costs.")
@offline_option
@journal_option
@config_option
def command(
    pipeline: str | None,
    context_file: Path | None,
    continue_run: str | None,
    system: str | None,
    models: str | None,
    aggregator: str | None,
    max_cost_usd: Decimal | None,
    deadline_s: float | None,
    yes: bool,
    quiet: bool,
    offline: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Have a conversation with PIPELINE: each question follows the answers before it.

    Each question is a run. Without PIPELINE, it is that of the continued run, or the default of the configuration.
    """
    config = loaded(config_path)
    earlier = earlier_run(continue_run, journal)
    usual = usual_pipeline(config, earlier) if pipeline is None else named(config, pipeline)
    if usual is None:
        raise missing_pipeline(config, "chat")
    template = NewRun(
        pipeline=models_chosen(usual, models, aggregator, config),
        question=Question("", context_of(context_file), system),
        max_cost_usd=max_cost_usd,
        deadline_s=deadline_s,
        overrides_limits=True,
        consent=consent(yes=yes),
        continues=earlier.run_id if earlier else "",
    )
    remedies = Remedies(config, journal, config_path, offline=offline)
    options = DisplayOptions(offline, as_json=False, quiet=quiet, remedies=remedies)
    in_memory = MemoryJournal()
    texts = journal == "none" or config.journal.record == "calls"
    setup = ChatSetup(
        config,
        (lambda: in_memory) if journal == "none" else (lambda: opened(journal, config.journal)),
        texts,
        ready(config, offline=offline),
        options,
    )

    def change(pipeline: Pipeline) -> Pipeline:
        return models_chosen(pipeline, models, aggregator, config)

    stored = texts and journal != "none"
    questions = TypedQuestions(user_data_path("moa-mcp") / "chat_history" if stored else None)
    try:
        _Chat(config, Conversation(setup, template), questions, change, remedies).run()
    finally:
        questions.close()


class _Chat:
    """Reads questions and commands until the end."""

    def __init__(
        self,
        config: Config,
        conversation: Conversation,
        questions: TypedQuestions,
        change: Callable[[Pipeline], Pipeline],
        remedies: Remedies,
    ) -> None:
        """`change` gives another pipeline the models that the user chose."""
        self._config = config
        self._conversation = conversation
        self._questions = questions
        self._change = change
        self._remedies = remedies
        self._ended = False
        self._commands: dict[str, Callable[[str], None]] = {
            "new": self._begin_anew,
            "pipeline": self._use,
            "runs": self._list,
            "help": lambda _: say(_HELP),
            "quit": self._quit,
        }

    def run(self) -> None:
        """Answer questions until the end. Raises `Refused` for a question from a pipe that has no answer."""
        terminal = self._questions.at_terminal
        if terminal:
            say(f"{line(self._conversation.pipeline.title)}: {self._follows()}. /help lists the commands.")
        while not self._ended:
            try:
                text = self._questions.next()
                if text is None:
                    break
                self._take(text)
            except Refused as error:
                if not terminal:
                    raise
                error.show()
            except (KeyboardInterrupt, click.Abort) as interrupt:  # at the prompt, or at the question about the cost
                if not terminal or isinstance(interrupt, Interrupted):
                    raise
                click.echo("\nCtrl-D ends the conversation.", err=True)
        self._conclude(terminal=terminal)

    def _take(self, text: str) -> None:
        name, _, rest = text[1:].partition(" ")
        if text.startswith("/") and "\n" not in text:
            if name not in self._commands:
                known = ", ".join(f"/{each}" for each in self._commands)
                raise Refused(f"there is no command /{line(name)}", f"Commands: {known}.")
            self._commands[name](rest.strip())
        elif text:
            self._ask(text)

    def _ask(self, text: str) -> None:
        terminal = self._questions.at_terminal
        try:
            self._conversation.ask(text)
        except Interrupted as interrupted:
            if not terminal or interrupted.exit_code != INTERRUPTED:
                raise
            say(str(interrupted))
            self._conversation.cancel(interrupted.run_ids)
        if not (terminal or sys.stdout.isatty()):
            click.echo()

    def _follows(self) -> str:
        return f"continues run {self._conversation.last}" if self._conversation.last else "a new conversation"

    def _begin_anew(self, _: str) -> None:
        self._conversation.begin_anew()
        say("The next question starts a new conversation.")

    def _use(self, name: str) -> None:
        if not name:
            used = self._conversation.pipeline.name
            say(*(f"{each} (in use)" if each == used else each for each in self._config.pipelines))
            return
        self._conversation.use(self._change(named(self._config, name)))
        say(f"The next question goes to {name}.")

    def _list(self, _: str) -> None:
        runs = self._conversation.exchanges
        say(*(f"{each.run_id}  {each.pipeline}  {each.status}  {each.question}" for each in runs))
        say(f"{self._conversation.total()}." if runs else "There are no runs yet.")

    def _quit(self, _: str) -> None:
        self._ended = True

    def _conclude(self, *, terminal: bool) -> None:
        """Print how to continue the conversation."""
        if terminal and not self._ended:
            click.echo(err=True)
        last = self._conversation.last
        go_on = self._remedies.chatting(last) if last and self._conversation.exchanges else ""
        if terminal and go_on:
            say(f"To continue: {go_on}")
