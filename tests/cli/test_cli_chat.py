"""`moa-mcp chat`, `ask --continue` and the default pipeline: at a terminal, with questions on stdin, and refused."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import Terminal, invoke, served
from tests.cli.test_cli_runs import listed
from tests.support.model_server import Hang, ModelServer, Reply
from tests.support.nursery import Nursery
from tests.support.serving import MEASURED

readline = pytest.importorskip("readline", reason="Windows has none") if os.name == "posix" else None
GNU_READLINE = pytest.mark.skipif(
    readline is None or "libedit" in (readline.__doc__ or ""), reason="needs a pseudo-terminal and GNU readline"
)
STEPS = '{ step = "propose", agents = ["first", "second"] }', '{ step = "aggregate", agent = "last" }'

PROMPT = "\r\n\x1b[?2004h> "
"""An empty line that can be edited."""


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        server.script("last", *(Reply(f"answer {number}") for number in range(1, 9)))
        yield server


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "PYTHONPATH") if key in os.environ}
    own = {"HOME": str(tmp_path), "MOA_MCP_JOURNAL": str(tmp_path / "journal.sqlite"), "TERM": "xterm"}
    return {**MEASURED, **kept, **own}


@pytest.fixture
def config(models: ModelServer, tmp_path: Path) -> str:
    """The path of a configuration with the pipelines `one`, the default, and `other`."""
    path = Path(served(models, tmp_path, *STEPS))
    other = 'defaults.pipeline = "one"\n', f"\n[pipelines.other]\nsteps = [{', '.join(STEPS)}]"
    path.write_text(other[0] + path.read_text("utf-8") + other[1], "utf-8")
    return str(path)


def sent(models: ModelServer) -> list[str]:
    """Return the contents of the messages that a proposer was sent last, without the context."""
    messages: list[dict[str, str]] = [each.body["messages"] for each in models.requests if each.model == "first"][-1]
    return [each["content"] for each in messages]


def ended(terminal: Terminal) -> int:
    """Type Ctrl-D at the prompt, since it would be lost before it; return the exit code."""
    terminal.type("/help\n")
    terminal.until(f"pasted.{PROMPT}")
    terminal.type("\x04")
    return terminal.until_end()


@GNU_READLINE
def test_a_conversation_at_a_terminal_shows_its_cost_survives_ctrl_c_and_says_how_to_continue(
    nursery: Nursery, models: ModelServer, environ: dict[str, str], config: str
) -> None:
    terminal = Terminal(environ, "--config", config, "chat", nursery=nursery)
    terminal.until("One: a new conversation. /help lists the commands.")
    terminal.until("> ")
    terminal.type("Who wrote it?\n")
    terminal.until("Conversation: 1 question, ")
    terminal.type("\x1b[200~When\nand why?\x1b[201~\n")  # a paste
    terminal.until("Conversation: 2 questions, ")
    assert sent(models) == ["Who wrote it?", "answer 1", "When\nand why?"]
    models.script("last", Hang())
    terminal.type("How?\n")
    models.wait_for(lambda seen: sum(each.model == "last" for each in seen) == 3, timeout=15)
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("Interrupted.")
    models.script("last", Reply("answer 3"))
    terminal.type("/pipeline other\n")
    terminal.until("The next question goes to other.")
    terminal.type("Where?\n")
    terminal.until("Conversation: 4 questions, ")
    assert sent(models) == ["Who wrote it?", "answer 1", "When\nand why?", "answer 2", "Where?"]
    terminal.type("/nonsense\n")
    terminal.until("there is no command /nonsense")
    terminal.type("/runs\n")
    terminal.until("cancelled")
    assert ended(terminal) == 0
    newest, stopped, second, _ = listed(Path(environ["MOA_MCP_JOURNAL"]))
    assert (newest["pipeline"], newest["continues"]) == ("other", second["run_id"])
    assert (stopped["status"], stopped["continues"]) == ("cancelled", second["run_id"])
    assert f"moa-mcp chat --continue {newest['run_id']}" in terminal.shown
    assert "Traceback" not in terminal.shown
    assert "Who wrote it?" in (Path(environ["HOME"]) / ".local/share/moa-mcp/chat_history").read_text("utf-8")


@GNU_READLINE
def test_a_conversation_is_continued_and_begun_anew(
    nursery: Nursery, models: ModelServer, environ: dict[str, str], config: str
) -> None:
    nursery.run("--config", config, "ask", "Who?", "-q", environ=environ)
    terminal = Terminal(environ, "--config", config, "chat", "--continue", "last", "-q", nursery=nursery)
    terminal.until("One: continues run ")
    terminal.type("When?\n")
    terminal.until("answer 2")
    assert sent(models) == ["Who?", "answer 1", "When?"]
    terminal.type("/new\n")
    terminal.until("starts a new conversation")
    terminal.type("Why?\n")
    terminal.until("answer 3")
    assert sent(models) == ["Why?"]
    terminal.type("/quit\n")
    assert terminal.until_end() == 0


@GNU_READLINE
def test_a_cost_is_confirmed_for_each_question_and_ctrl_c_at_the_prompt_ends_nothing(
    environ: dict[str, str], config: str
) -> None:
    path = Path(config)
    priced = path.read_text("utf-8").replace('/v1" }]', '/v1", usd_per_million = { prompt = 1, completion = 1 } }]')
    path.write_text(f"budget.confirm_above_usd = 0.0001\n{priced}", "utf-8")
    terminal = Terminal(environ, "--config", config, "chat", "-q")
    terminal.until("> ")
    terminal.process.send_signal(signal.SIGINT)
    terminal.type("\n")  # readline may wait for a key before it looks at signals
    terminal.until("Ctrl-D ends the conversation.")
    terminal.type("Who?\n")
    terminal.until("Start the run?")
    terminal.type("n\n")
    terminal.until("you did not confirm the cost")
    terminal.type("When?\n")
    terminal.until("Start the run?")
    terminal.until("[y/N]: ")
    terminal.type("y\n")
    terminal.until("answer 1")
    assert ended(terminal) == 0
    (only,) = listed(Path(environ["MOA_MCP_JOURNAL"]))
    assert only["question"] == "When?"


@pytest.mark.parametrize("settings", ["", 'journal.record = "hashes"\n'])
@pytest.mark.parametrize("journal", ["none", "file"])
def test_each_line_of_stdin_is_a_question_and_several_are_one_between_marks(
    models: ModelServer, environ: dict[str, str], config: str, settings: str, journal: str, nursery: Nursery
) -> None:
    Path(config).write_text(settings + Path(config).read_text("utf-8"), "utf-8")
    options = ("--journal", "none") if journal == "none" else ()
    done = nursery.run(
        "--config",
        config,
        "chat",
        "-q",
        *options,
        environ=environ,
        said='Who?\n\n"""When\nand why?\n"""\nHow?',
    )
    assert (done.returncode, done.stdout.split("\n\n")) == (0, ["answer 1", "answer 2", "answer 3", ""])
    assert sent(models) == ["Who?", "answer 1", "When\nand why?", "answer 2", "How?"]
    assert not list(Path(environ["HOME"]).glob("**/chat_history"))


def test_the_first_question_of_stdin_without_an_answer_ends_the_command(
    models: ModelServer, environ: dict[str, str], config: str, nursery: Nursery
) -> None:
    models.script("last", Reply("answer 1"), Reply("", refusal="I can't."))
    done = nursery.run("--config", config, "chat", "-q", environ=environ, said="Who?\nWhen?\nHow?\n")
    assert (done.returncode, done.stdout) == (1, "answer 1\n\n")
    assert done.stderr.startswith("Error: ")
    assert not any("How?" in str(each.body) for each in models.requests)


def ask(config: str, *arguments: str, environ: dict[str, str], **given: Any) -> Any:
    return invoke("ask", "--config", config, "--offline", *arguments, **{**environ, "MOA_MCP_CONFIG": None}, **given)


@pytest.mark.parametrize("arguments", [("Hello",), ("What is 2 + 2?", "-q"), ("one", "Hello")])
def test_a_single_argument_is_the_question_for_the_default_pipeline(
    config: str, environ: dict[str, str], arguments: tuple[str, ...]
) -> None:
    done = ask(config, *arguments, "--json", environ=environ)
    assert (done.exit_code, json.loads(done.stdout)["pipeline"]) == (0, "one")


@pytest.mark.parametrize(
    ("arguments", "fault", "remedy"),
    [
        (("othr",), "there is no pipeline 'othr'; did you mean 'other'?", "Pipelines: one, other."),
        (("other",), "the question on stdin is empty", "moa-mcp ask other"),
        (("Why", "is"), "there is no pipeline 'Why'", "Write the whole question in quotes"),
        (("Why?", "--continue", "zzzz"), "there is no run 'zzzz' in the journal", "Run moa-mcp runs"),
    ],
)
def test_words_that_may_be_a_mistake_are_refused(
    config: str, environ: dict[str, str], arguments: tuple[str, ...], fault: str, remedy: str
) -> None:
    assert ask(config, "Hello", "-q", environ=environ).exit_code == 0
    refused = ask(config, *arguments, environ=environ, input="")
    told, helps = refused.stderr.splitlines()
    assert (refused.exit_code, told) == (2, f"Error: {fault}")
    assert remedy in helps


def test_a_continued_run_decides_the_pipeline(config: str, environ: dict[str, str]) -> None:
    first = json.loads(ask(config, "other", "Hello", "--json", environ=environ).stdout)
    second = json.loads(ask(config, "And?", "--continue", "last", "--json", environ=environ).stdout)
    third = json.loads(ask(config, "one", "So?", "--continue", second["run_id"][:6], "--json", environ=environ).stdout)
    assert [each["pipeline"] for each in (first, second, third)] == ["other", "other", "one"]
    assert [each["continues"] for each in (first, second, third)] == [None, first["run_id"], second["run_id"]]
    assert [each["content"] for each in third["question"]["turns"]] == [
        "Hello",
        first["answer"],
        "And?",
        second["answer"],
    ]
    assert "After 2 earlier questions" in third["answer"]
    shown = invoke("runs", "show", "last", **environ)
    assert f"continues run {second['run_id']}" in shown.stdout
    assert "(4 earlier turns; --full shows them)" in shown.stdout


def test_an_estimate_counts_the_turns_of_the_run_that_it_follows(config: str, environ: dict[str, str]) -> None:
    assert ask(config, "word " * 2000, "-q", environ=environ).exit_code == 0
    alone = json.loads(ask(config, "And?", "--estimate", "--json", environ=environ).stdout)
    follows = json.loads(ask(config, "And?", "--continue", "last", "--estimate", "--json", environ=environ).stdout)
    assert follows["prompt_tokens"]["min"] - alone["prompt_tokens"]["min"] > 3 * 2000


def test_simulated_and_real_runs_do_not_follow_each_other(config: str, environ: dict[str, str]) -> None:
    assert ask(config, "Who?", "-q", environ=environ).exit_code == 0
    refused = invoke("ask", "--config", config, "When?", "--continue", "last", **environ)
    assert refused.exit_code == 2
    assert "was simulated; add --offline" in refused.stderr


def test_without_a_default_the_pipelines_are_listed(environ: dict[str, str]) -> None:
    refused = invoke("chat", "--offline", **{**environ, "XDG_CONFIG_HOME": environ["HOME"]}, input="")
    told, helps = refused.stderr.splitlines()
    assert (refused.exit_code, told) == (2, "Error: the pipeline is missing")
    assert "set pipeline = " in helps
    assert "Pipelines: " in helps


def test_the_default_must_be_a_pipeline(config: str) -> None:
    path = Path(config)
    path.write_text(path.read_text("utf-8").replace('pipeline = "one"', 'pipeline = "onn"'), "utf-8")
    refused = invoke("ask", "--config", config, "Why?")
    assert refused.exit_code == 2
    assert "defaults.pipeline: there is no pipeline 'onn', did you mean 'one'?" in refused.stderr
