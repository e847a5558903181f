"""What the command line says to do next: commands that work as they stand, and no promise that nobody keeps."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from moa_mcp.config import shipped
from tests.cli.test_cli import COMMAND, POSIX, Terminal, environ, run, served
from tests.support.model_server import Hang, ModelServer, Reply, Status
from tests.support.nursery import Nursery

PROPOSE = '{step="propose", agents=["first", "second"]}'
AGGREGATE = '{step="aggregate", agent="last"}'
SYNTHESIZE = '{step="synthesize", agents=["last"]}'

__all__ = ["environ"]


def commands(said: str) -> list[list[str]]:
    """Return the arguments of every command of `moa-mcp` that a remedy names."""
    whole = re.findall(r"moa-mcp (runs .*?) to ", said)
    return [shlex.split(arguments) for arguments in whole]


@pytest.fixture
def broken() -> Iterator[ModelServer]:
    """Models of which the last refuses."""
    with ModelServer() as server:
        server.script("last", Status(400, "not today"))
        yield server


@pytest.fixture
def kept(broken: ModelServer, tmp_path: Path) -> list[str]:
    """Options of a configuration and a journal, both of them somewhere of their own."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    return ["--config", served(broken, folder, PROPOSE, AGGREGATE), "--journal", str(folder / "runs.sqlite")]


def test_what_a_failed_run_names_goes_on_with_it_as_it_stands(
    nursery: Nursery, environ: dict[str, str], broken: ModelServer, kept: list[str]
) -> None:
    ask = partial(nursery.run, environ=environ)
    failed = ask("ask", "one", "Why?", *kept)
    resume, fork = commands(failed.stderr.splitlines()[-1])
    broken.clear()
    broken.script("last", Reply("So."))
    forked = ask(*[part.replace("NAME", "second") for part in fork], "-q")
    resumed = ask(*resume, "-q")
    assert failed.returncode == 1
    assert (forked.returncode, resumed.returncode, resumed.stdout) == (0, 0, "So.\n")
    assert [each.model for each in broken.requests] == ["second", "last"]


def test_where_nobody_answered_the_remedy_shows_what_was_said(
    nursery: Nursery, environ: dict[str, str], broken: ModelServer, kept: list[str]
) -> None:
    for name in ("first", "second"):
        broken.script(name, Status(400, "not today"))
    failed = nursery.run("ask", "one", "Why?", *kept, environ=environ)
    show, _ = commands(failed.stderr.splitlines()[-1])
    shown = nursery.run(*show, environ=environ)
    assert (failed.returncode, shown.returncode) == (1, 0)
    assert show[-1] == "--full"
    assert "not today" in shown.stdout


def test_what_the_environment_says_is_left_out_of_the_remedy(
    nursery: Nursery, environ: dict[str, str], kept: list[str]
) -> None:
    own = {**environ, "MOA_MCP_CONFIG": kept[1], "MOA_MCP_JOURNAL": kept[3]}
    failed = nursery.run("ask", "one", "Why?", environ=own)
    resume, _ = commands(failed.stderr.splitlines()[-1])
    assert resume[:2] == ["runs", "resume"]
    assert len(resume) == 3


@pytest.mark.parametrize("hashes", [True, False])
def test_what_is_kept_nowhere_is_not_promised(
    nursery: Nursery, environ: dict[str, str], kept: list[str], hashes: bool
) -> None:
    config = Path(kept[1])
    if hashes:
        config.write_text(config.read_text("utf-8") + '\n[journal]\nrecord = "hashes"\n', "utf-8")
    else:
        kept[3] = "none"
    failed = nursery.run("ask", "one", "Why?", *kept, environ=environ)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("This run was not recorded and can't be resumed")


def test_a_step_with_several_agents_is_given_others(
    nursery: Nursery, environ: dict[str, str], broken: ModelServer, tmp_path: Path
) -> None:
    config = served(broken, tmp_path, PROPOSE, SYNTHESIZE, AGGREGATE)
    options = ["--config", config, "--journal", str(tmp_path / "runs.sqlite")]
    failed = nursery.run("ask", "one", "Why?", *options, environ=environ)
    _, fork = commands(failed.stderr.splitlines()[-1])
    others = ["agents=first,second" if part == "agents=NAME" else part for part in fork]
    broken.script("last", Reply("So."))
    forked = nursery.run(*others, "-q", environ=environ)
    assert failed.returncode == 1
    assert (forked.returncode, forked.stdout) == (0, "So.\n")


@POSIX
def test_after_ctrl_c_the_run_can_be_gone_on_with(
    nursery: Nursery, environ: dict[str, str], broken: ModelServer, kept: list[str]
) -> None:
    broken.clear()
    broken.script("last", Hang())
    terminal = Terminal(environ, "ask", "one", "Why?", *kept, nursery=nursery)
    broken.wait_for(lambda requests: any(each.model == "last" for each in requests), timeout=15)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.until_end() == 130
    (resume,) = commands(" ".join(terminal.shown[terminal.shown.rindex("Interrupted.") :].split()))
    broken.clear()
    broken.script("last", Reply("So."))
    resumed = nursery.run(*resume, "-q", environ=environ)
    assert (resumed.returncode, resumed.stdout) == (0, "So.\n")
    assert [each.model for each in broken.requests] == ["last"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
@pytest.mark.parametrize("style", [[], ["--json"]])
def test_an_answer_that_cannot_be_written_is_kept_and_its_command_prints_it(
    environ: dict[str, str], tmp_path: Path, style: list[str]
) -> None:
    kept = ["--offline", "--journal", str(tmp_path / "runs.sqlite")]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        asked = [*COMMAND, "ask", "self_moa", "What is 2 + 2?", "-q", "--seed", "7", *style, *kept]
        done = subprocess.run(
            asked, env=environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=20
        )
    fault, remedy = done.stderr.splitlines()
    (show,) = commands(remedy)
    shown = run(environ, *show)
    assert (done.returncode, fault) == (1, "Error: can't write the answer: No space left on device")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "The answer is 4" in shown.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_any_output_that_cannot_be_written_is_told_in_a_line(environ: dict[str, str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*COMMAND, "pipelines"],
            env=environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=20,
        )
    assert (done.returncode, done.stderr) == (1, "Error: can't write the output: No space left on device\n")


def test_a_fault_of_the_program_is_told_in_a_line_and_fails_its_call_alone(
    nursery: Nursery, environ: dict[str, str], broken: ModelServer, kept: list[str]
) -> None:
    prelude = """
from moa_mcp.providers.openai import plain
read = plain.completion
def broken(call, target, raw):
    if b"first" in raw:
        raise ZeroDivisionError("sk-4f9a2c7be1d84f6a93")
    return read(call, target, raw)
plain.completion = broken
"""
    broken.script("last", Reply("So."))
    done = nursery.run("ask", "one", "Why?", *kept, environ=environ, prelude=prelude)
    told = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (0, "So.\n")
    assert told[0].startswith("a call of openai/first failed with an unexpected error: ZeroDivisionError: [key] (")
    assert "first: openai/first: unexpected ZeroDivisionError in moa-mcp" in done.stderr
    assert "Traceback" not in done.stderr


@POSIX
@pytest.mark.parametrize(
    ("closed", "code", "said"),
    [
        ("<&-", 2, "Error: the question on stdin is empty"),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
    ],
)
def test_a_closed_stream_is_as_good_as_an_empty_one(environ: dict[str, str], closed: str, code: int, said: str) -> None:
    question = [] if closed == "<&-" else ["What is 2 + 2?"]
    command = shlex.join([*COMMAND, "ask", "self_moa", *question, "--offline", "-q", "--seed", "7"])
    done = subprocess.run(
        ["sh", "-c", f"{command} {closed}"], env=environ, capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == code
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr
    assert ("The answer is 4" in done.stdout) == (closed == "2>&-")


def test_without_stand_ins_the_remedy_names_every_key_that_helps_and_each_does(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "pipelines.toml"
    path.write_text(f"panels.stand_ins = false\n{shipped().read_text('utf-8')}", "utf-8")
    options = ("--config", str(path))
    lacking = nursery.run("ask", "together_moa", "Why?", *options, environ=environ)
    assert lacking.returncode == 3
    remedy = lacking.stderr.splitlines()[1]
    keys = re.findall(r"[A-Z_]+_(?:API_KEY|KEY_ID)", remedy)
    assert {"OPENROUTER_API_KEY", "TOGETHERAI_API_KEY", "FIREWORKS_API_KEY", "NSCALE_API_KEY"} < {*keys}
    assert "or start Ollama at" in remedy
    assert "or set stand_ins = true in [panels] and any API key." in remedy
    for key in keys:
        given = {**environ, key: "x", "AWS_SECRET_ACCESS_KEY": "x"}
        found = json.loads(nursery.run("check", "together_moa", "--json", *options, environ=given).stdout)
        assert found["pipelines"][0]["runs"], key


def test_a_key_that_helps_no_pipeline_is_not_named_as_its_remedy(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "pipelines.toml"
    propose = '{ step = "propose", agents = ["a", "b"], quorum = 2 }'
    take = '{ step = "take", n = 1 }'
    text = f'pipelines.one.steps = [{propose}, {take}]\nmodels.a.routes = ["groq/x", "mistral/x"]\n'
    path.write_text(f'{text}models.b.routes = ["xai/x", "mistral/y"]', "utf-8")
    both = nursery.run("ask", "one", "Why?", "--config", str(path), environ=environ).stderr
    path.write_text(f'{text}models.b.routes = ["xai/x"]', "utf-8")
    none = nursery.run("ask", "one", "Why?", "--config", str(path), environ=environ).stderr
    assert "To run it, set MISTRAL_API_KEY. Run" in both
    assert "To run it, set GROQ_API_KEY or MISTRAL_API_KEY for a, and provide keys or servers for the other" in none
