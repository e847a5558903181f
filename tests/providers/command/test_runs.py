"""Whole runs of command routes without any key: `ask`, `check`, the journal, and an interrupt."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.cli.test_cli_runs import environ
from tests.support import programs
from tests.support.nursery import Nursery
from tests.support.programs import CODEX_USAGE, GEMINI_STATS, READ, item, printing, program, runs, written

__all__ = ["environ"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts with a first line for POSIX")

CONFIG = """
[models.own]
routes = [{ command = ["my-model", "--json"], output = { json = "result" } }]

[pipelines.panel]
description = "Three programs and one that combines them."
steps = [
    { step = "propose", agents = ["command/claude", "command/codex", "command/gemini"] },
    { step = "aggregate", agent = "own" },
]
"""

COMBINES = f"""{READ}
names = [name for name in ("claude", "codex", "gemini") if f"From {{name}}." in given]
variables = sorted(set(os.environ) - {{"LC_CTYPE", "LANG"}})
print(json.dumps(dict(result=f"All of {{names}}, {{variables}}")))
"""


@pytest.fixture
def installed(tmp_path: Path, environ: dict[str, str]) -> dict[str, str]:
    """Install the programs and a configuration, and return the environment of a user who has them."""
    folder = tmp_path / "bin"
    program(folder, "claude", printing(programs.claude("From claude.")))
    program(folder, "codex", printing(programs.codex(item("agent_message", "From codex."), CODEX_USAGE)))
    program(folder, "gemini", printing(programs.gemini(response="From gemini.", stats=GEMINI_STATS)))
    program(folder, "my-model", COMBINES)
    (tmp_path / "own.toml").write_text(CONFIG, "utf-8")
    return environ | {
        "PATH": str(folder),
        "MOA_MCP_CONFIG": str(tmp_path / "own.toml"),
        "SECRET_API_KEY": "s3cr3t-value",
    }


def test_a_run_needs_no_key_and_its_record_can_be_shown_and_forked(nursery: Nursery, installed: dict[str, str]) -> None:
    done = nursery.run("ask", "panel", "Why?", "--json", environ=installed)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["answer"] == "All of ['claude', 'codex', 'gemini'], ['HOME', 'PATH', 'TERM']"
    assert "s3cr3t-value" not in done.stdout
    fork = ("runs", "fork", "last", "--from", "2", "-q")
    forked = nursery.run(*fork, environ=installed)
    assert (forked.returncode, forked.stdout.rstrip()) == (0, result["answer"])
    forked = nursery.run(*fork, "--set", "agent=command/gemini", environ=installed)
    assert (forked.returncode, forked.stdout.rstrip()) == (0, "From gemini.")
    refused = nursery.run(*fork, "--set", "agent=command/gemmini", environ=installed)
    assert "'command/gemmini' is not a model in the configuration" in refused.stderr


def test_check_shows_the_client_and_what_is_missing(nursery: Nursery, installed: dict[str, str]) -> None:
    (Path(installed["PATH"]) / "codex").unlink()
    done = nursery.run("check", "--cost", "--json", environ=installed)
    assert done.returncode == 0, done.stderr
    (pipeline,) = json.loads(done.stdout)["pipelines"]
    found = {each["model"]: (each["route"], each["missing"]) for each in pipeline["models"]}
    how = "run npm install -g @openai/codex, then log in with codex login"
    assert found == {
        "command/claude": ("command/claude", ""),
        "command/codex": (None, f"install codex (not found in PATH): {how}"),
        "command/gemini": ("command/gemini", ""),
        "own": ("command/my-model", ""),
    }
    assert {route["transport"] for each in pipeline["models"] for route in each["routes"]} == {"command"}
    shown = nursery.run("check", environ=installed).stdout
    assert "command/my-model" in shown
    assert nursery.run("ask", "panel", "Why?", "--estimate", environ=installed).stdout.count("subscription") == 3


def test_a_price_is_required_of_programs_too(nursery: Nursery, installed: dict[str, str]) -> None:
    config = Path(installed["MOA_MCP_CONFIG"])
    config.write_text(f'{CONFIG}\n[budget]\nunpriced = "refuse"\n', "utf-8")
    done = nursery.run("ask", "panel", "Why?", environ=installed)
    assert done.returncode != 0
    assert "the price of command/claude, command/codex, command/gemini, own is not known" in done.stderr


def test_an_interrupt_ends_the_programs(nursery: Nursery, installed: dict[str, str], tmp_path: Path) -> None:
    started = tmp_path / "started"
    hang = f"open({str(started)!r}, 'a').write(f'{{os.getpid()}}\\n')\nimport time\nwhile True: time.sleep(100)"
    program(tmp_path / "bin", "claude", READ + hang)
    with nursery.start("ask", "panel", "Why?", environ=installed) as process:
        pid = int(anyio.run(written, started))
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.wait(10) == 130
    assert not runs(pid)
