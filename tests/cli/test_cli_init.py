"""`moa-mcp init`, from a home without any file to an answer, in the terminal and over MCP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client

from moa_mcp.config import load
from moa_mcp.routing.local import LOCAL
from tests.cli.test_cli import COMMAND, Terminal, environ
from tests.support.model_server import ModelServer
from tests.support.nursery import Nursery
from tests.support.serving import content, parameters

__all__ = ["environ"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked, and programs have a mode")
KEY = "Zx8kW2pLq0"
TITLES = ["Found", "Proposal"]


class Newcomer:
    """A user who has just installed the package: a home without files, no keys, no local servers, no programs."""

    def __init__(self, nursery: Nursery, folder: Path, environ: dict[str, str]) -> None:
        self.nursery = nursery
        self.file = folder / "config" / "moa-mcp" / "pipelines.toml"
        self.programs = folder / "bin"
        self.programs.mkdir()
        nowhere = {local.variable: "http://127.0.0.1:9/v1" for local in LOCAL.values()}
        own = {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PATH": str(self.programs),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "COLUMNS": "80",
        }
        self.environ = environ | own | nowhere

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command. Nothing that it prints may hold a key."""
        done = self.nursery.run(*arguments, environ=self.environ | environ)
        assert KEY not in done.stdout + done.stderr
        return done

    def installs(self, *programs: str) -> None:
        for name in programs:
            path = self.programs / name
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)

    def at_terminal(self, *arguments: str, **environ: str) -> Terminal:
        return Terminal(self.environ | environ, *arguments, nursery=self.nursery)

    @property
    def written(self) -> list[str]:
        """The names of all files in the folder of the configuration."""
        return sorted(each.name for each in self.file.parent.glob("*"))


@pytest.fixture
def newcomer(nursery: Nursery, tmp_path: Path, environ: dict[str, str]) -> Newcomer:
    return Newcomer(nursery, tmp_path, environ)


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer("qwen3:8b", "nomic-embed-text:latest", "llama3.1:8b") as server:
        yield server


def steps_of(path: Path) -> dict[str, list[tuple[str, ...]]]:
    """Return the models of each step of a configuration's pipelines."""
    return {name: [step.models for step in each.steps] for name, each in load(path).pipelines.items()}


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY", "GROQ_API_KEY"])
def test_one_key_gives_a_file_that_is_ready_and_has_a_budget(newcomer: Newcomer, name: str) -> None:
    done = newcomer("init", "--yes", **{name: KEY})
    assert (done.returncode, done.stderr) == (0, "")
    assert [each for each in done.stdout.splitlines() if each in TITLES] == TITLES
    assert f"{name} (environment)" in done.stdout
    assert done.stdout.endswith(f"  moa-mcp keys set {name}\n")
    checked = newcomer("check", "--strict", "panel", **{name: KEY})
    assert checked.returncode == 0, checked.stdout
    text = newcomer.file.read_text()
    assert len(text.splitlines()) < 45
    assert KEY not in text
    budget = load(newcomer.file).budget
    assert budget.max_cost_usd is not None
    assert budget.confirm_above_usd is not None
    assert budget.confirm_above_usd < budget.max_cost_usd
    assert budget.max_cost_usd_per_day == 10 * budget.max_cost_usd


def test_the_file_is_readable_like_other_files_of_the_user(newcomer: Newcomer) -> None:
    newcomer("init", "--yes", OPENAI_API_KEY=KEY)
    expected = newcomer.file.parent / "other"
    expected.touch()
    assert newcomer.file.stat().st_mode == expected.stat().st_mode


def test_members_come_from_as_many_makers_as_the_key_reaches(newcomer: Newcomer) -> None:
    newcomer("init", "--yes", OPENROUTER_API_KEY=KEY)
    assert len(steps_of(newcomer.file)["panel"][0]) == 4
    newcomer("init", "--yes", "--force", OPENAI_API_KEY=KEY)
    assert len(steps_of(newcomer.file)["panel"][0]) == 3


def test_options_replace_the_proposal(newcomer: Newcomer) -> None:
    options = ("--members", "5", "--panel", "reasoning", "--max-cost", "3.5")
    assert newcomer("init", "--yes", *options, OPENROUTER_API_KEY=KEY).returncode == 0
    assert steps_of(newcomer.file)["panel"] == [
        tuple(f"panel:reasoning:{number}" for number in range(1, 6)),
        ("panel:reasoning:1",),
    ]
    budget = load(newcomer.file).budget
    caps = budget.max_cost_usd, budget.max_cost_usd_per_day, budget.confirm_above_usd
    assert list(map(str, caps)) == ["3.5", "35.0", "2.0"]


def test_with_a_cap_below_the_expected_cost_not_every_run_needs_a_confirmation(newcomer: Newcomer) -> None:
    assert newcomer("init", "--yes", "--max-cost", "0.001", OPENROUTER_API_KEY=KEY).returncode == 0
    assert load(newcomer.file).budget.confirm_above_usd is None


@pytest.mark.parametrize("name", ["TOGETHERAI_API_KEY", "XAI_API_KEY", "GEMINI_API_KEY"])
def test_the_quick_pipeline_is_left_out_unless_it_is_cheaper(newcomer: Newcomer, name: str) -> None:
    assert newcomer("init", "--yes", "--panel", "fast", "--members", "2", **{name: KEY}).returncode == 0
    checked = json.loads(newcomer("check", "--cost", "--json", **{name: KEY}).stdout)
    costs = {each["name"]: each["estimate"]["cost_usd"]["expected"] for each in checked["pipelines"]}
    assert costs["panel"] == max(costs.values())


def test_a_link_stays_a_link(newcomer: Newcomer, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    newcomer.file.parent.mkdir(parents=True)
    newcomer.file.symlink_to(real)
    assert newcomer("init", "--yes", OPENAI_API_KEY=KEY).returncode == 0
    assert newcomer.file.is_symlink()
    assert "panel" in steps_of(real)


def test_a_key_in_the_users_file_is_found_and_needs_no_storing(newcomer: Newcomer, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"MISTRAL_API_KEY={KEY}\n")
    keys.chmod(0o600)
    done = newcomer("init", "--yes", MOA_MCP_ENV_FILE=str(keys))
    assert "MISTRAL_API_KEY (file)" in done.stdout
    assert "keys set" not in done.stdout


def test_a_local_server_alone_gives_a_panel_of_its_chat_models(newcomer: Newcomer, models: ModelServer) -> None:
    done = newcomer("init", "--yes", OLLAMA_API_BASE=models.url)
    assert f"Ollama at {models.url} (2 chat models)" in done.stdout
    assert "2x llama3.1:8b, qwen3:8b answer" in done.stdout
    assert done.stdout.endswith("  moa-mcp keys set OLLAMA_API_BASE\n")
    assert list(steps_of(newcomer.file)) == ["panel"]
    assert newcomer("check", "--strict", "panel", OLLAMA_API_BASE=models.url).returncode == 0
    asked = newcomer("ask", "panel", "Why?", "-q", OLLAMA_API_BASE=models.url)
    assert asked.stdout.startswith("answer ")
    assert {each.model for each in models.requests if each.body} == {"llama3.1:8b", "qwen3:8b"}


def test_hosted_models_are_proposed_before_local_ones(newcomer: Newcomer, models: ModelServer) -> None:
    done = newcomer("init", "--yes", OLLAMA_API_BASE=models.url, GROQ_API_KEY=KEY)
    assert "(2 chat models)" in done.stdout
    assert "qwen3:8b" not in newcomer.file.read_text()
    assert '# local = "always"' in newcomer.file.read_text()


def test_installed_programs_answer_where_nothing_else_can(newcomer: Newcomer) -> None:
    newcomer.installs("codex", "claude")
    done = newcomer("init", "--yes", "--members", "3", "--panel", "fast")
    assert done.stderr == "Note: --panel has no effect, since only programs were found.\n"
    assert "2x claude, codex answer; claude merges the answers" in done.stdout
    assert steps_of(newcomer.file) == {"panel": [("claude", "claude", "codex"), ("claude",)]}
    assert load(newcomer.file).budget.max_cost_usd is None
    assert newcomer("check", "--strict", "panel").returncode == 0


def test_one_program_answers_several_times_without_a_fallback(newcomer: Newcomer) -> None:
    newcomer.installs("gemini")
    assert newcomer("init", "--yes", "--max-cost", "2").returncode == 0
    assert steps_of(newcomer.file) == {"panel": [("gemini",) * 3, ("gemini",)]}
    assert str(load(newcomer.file).budget.max_cost_usd) == "2.0"
    assert newcomer("check", "--strict", "panel").returncode == 0


@pytest.mark.parametrize("options", [("--yes",), ("--yes", "--force"), ("--print",)])
def test_with_nothing_it_says_what_would_help_and_writes_nothing(newcomer: Newcomer, options: tuple[str, ...]) -> None:
    done = newcomer("init", *options)
    assert done.returncode == 3
    assert done.stderr.endswith(
        """Error: no model can be called here. Nothing was written.
Do one of these, then run moa-mcp init again:
- store an API key, such as one of OpenRouter: moa-mcp keys set OPENROUTER_API_KEY
- start Ollama with a model: ollama pull qwen3:8b
- with a subscription, install claude: npm install -g @anthropic-ai/claude-code, then claude auth login
"""
    )
    assert newcomer.written == []


def test_a_local_server_without_chat_models_is_named_with_the_command_that_loads_one(newcomer: Newcomer) -> None:
    with ModelServer("nomic-embed-text:latest") as server:
        done = newcomer("init", "--yes", OLLAMA_API_BASE=server.url)
    assert done.returncode == 3
    assert f"- load a chat model into Ollama at {server.url}: ollama pull qwen3:8b\n" in done.stderr
    assert newcomer.written == []


def test_an_existing_file_is_replaced_only_by_force_and_every_old_one_is_kept(newcomer: Newcomer) -> None:
    newcomer.file.parent.mkdir(parents=True)
    newcomer.file.write_text("mine")
    refused = newcomer("init", "--yes", OPENAI_API_KEY=KEY)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"Error: {newcomer.file} exists\n"
        "Add --force to replace it (a backup is kept), or choose another file with --config.\n"
    )
    assert newcomer.file.read_text() == "mine"
    forced = newcomer("init", "--yes", "--force", OPENAI_API_KEY=KEY)
    assert f"The old file is now {newcomer.file}.bak." in forced.stdout
    again = newcomer("init", "--yes", "--force", OPENROUTER_API_KEY=KEY)
    assert f"The old file is now {newcomer.file}.bak2." in again.stdout
    assert newcomer.written == ["pipelines.toml", "pipelines.toml.bak", "pipelines.toml.bak2"]
    assert newcomer.file.with_name("pipelines.toml.bak").read_text() == "mine"


def test_print_writes_the_same_file_to_stdout_alone(newcomer: Newcomer) -> None:
    printed = newcomer("init", "--print", OPENAI_API_KEY=KEY)
    assert printed.returncode == 0
    assert newcomer.written == []
    newcomer("init", "--yes", OPENAI_API_KEY=KEY)
    assert newcomer.file.read_text() == printed.stdout


def test_another_file_is_named_in_the_commands(newcomer: Newcomer, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    done = newcomer("init", "--yes", "--config", str(other), OPENAI_API_KEY=KEY)
    assert f"moa-mcp ask --config {other} " in done.stdout
    assert f"moa-mcp install --config {other}\n" in done.stdout
    assert newcomer("check", "--strict", "--config", str(other), OPENAI_API_KEY=KEY).returncode == 0
    by_variable = newcomer("init", "--yes", "--force", MOA_MCP_CONFIG=str(other), OPENAI_API_KEY=KEY)
    assert "moa-mcp ask 'Should" in by_variable.stdout
    assert "  moa-mcp install\n" in by_variable.stdout
    assert newcomer.written == []


@pytest.mark.parametrize("path", [f"{os.devnull}/pipelines.toml", "x" * 300])
def test_a_path_that_is_not_writable_is_refused_with_a_remedy(newcomer: Newcomer, path: str) -> None:
    done = newcomer("init", "--yes", "--config", path, OPENAI_API_KEY=KEY)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {path} can't be written: ")
    assert done.stderr.endswith("Choose another file with --config.\n")


def test_without_a_terminal_it_asks_nothing_and_names_the_option(newcomer: Newcomer) -> None:
    done = newcomer("init", OPENAI_API_KEY=KEY)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: init asks questions, which needs a terminal\nAdd --yes to accept the proposal, or --print to see it.\n"
    )
    assert newcomer.written == []


def test_at_a_terminal_it_asks_and_writes_what_was_answered(newcomer: Newcomer) -> None:
    terminal = newcomer.at_terminal("init", OPENROUTER_API_KEY=KEY)
    for question, reply in {
        "[balanced]: ": "fast",
        "[4]: ": "2",
        "in US dollars": "0.25",
        "[Y/n]: ": "",
    }.items():
        terminal.until(question)
        terminal.type(f"{reply}\n")
    assert terminal.until_end() == 0
    assert steps_of(newcomer.file)["panel"] == [("panel:fast:1", "panel:fast:2"), ("panel:balanced:1",)]
    assert str(load(newcomer.file).budget.max_cost_usd) == "0.25"
    assert max(map(len, terminal.shown.partition("Write ")[0].splitlines())) <= 80


def test_at_a_terminal_an_existing_file_stays_unless_the_user_confirms(newcomer: Newcomer) -> None:
    newcomer.file.parent.mkdir(parents=True)
    newcomer.file.write_text("mine")
    declined = newcomer.at_terminal("init", OPENAI_API_KEY=KEY)
    declined.until("A backup is kept. [y/N]: ")
    declined.type("\n")
    assert declined.until_end() == 1
    assert newcomer.written == ["pipelines.toml"]
    confirmed = newcomer.at_terminal("init", "--members", "3", "--panel", "fast", "--max-cost", "1", OPENAI_API_KEY=KEY)
    confirmed.until("A backup is kept. [y/N]: ")
    confirmed.type("y\n")
    confirmed.until("[Y/n]: ")
    confirmed.type("n\n")
    assert confirmed.until_end() == 1
    assert newcomer.file.read_text() == "mine"


@pytest.fixture
def begun(newcomer: Newcomer, models: ModelServer) -> dict[str, str]:
    """The environment of a user with one key, after `init` as a process of its own."""
    own = newcomer.environ | {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": models.url}
    done = subprocess.run([*COMMAND, "init", "--yes"], env=own, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.endswith("  moa-mcp keys set OPENAI_API_KEY\n  moa-mcp keys set OPENAI_BASE_URL\n")
    return own


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_key_leads_to_an_answer_in_the_terminal_and_over_mcp(
    newcomer: Newcomer, begun: dict[str, str]
) -> None:
    asked = newcomer("ask", "panel", "Why?", "-q", **begun)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith("answer ")
    async with Client(parameters(nursery=None, **begun), read_timeout_seconds=20) as client:
        tools = (await client.list_tools()).tools
        result = await client.call_tool("panel", {"question": "Why?"})
    assert [each.name for each in tools if not each.name.startswith("moa_")] == ["panel", "quick"]
    assert content(result)["status"] == "complete"
