"""README and docs are true: configurations load, commands parse, those that are offline run, and so does Python."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import moa_mcp
from moa_mcp.cli import commands
from moa_mcp.config import SETTINGS, STEP_TYPES, load, parse, shipped
from moa_mcp.panels.table import read
from moa_mcp.planning.plan import plan

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"^ *```(.*)\n((?:.*\n)*?) *```$", re.MULTILINE)
LANGUAGES = {"json", "python", 'python title="client.py"', "sh", "text", "toml", 'toml title="models.toml"'}
"""What a code block can be. Each has a test below, except text, which is nothing that a program reads, and clients of
OpenAI's API, which the tests of that run."""
PIPELINE = '[pipelines.p]\ndescription = "For tests."\nsteps = [{ step = "propose", agents = ["openai/x"] }]'


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(language: str, holding: str = "") -> list[object]:
    """Return the code blocks of a language, each named by its page and number."""
    found = [(page, *found) for page in PAGES for found in enumerate(FENCE.findall(text_of(page)), 1)]
    return [
        pytest.param(block, id=f"{name_of(page)}-{number}")
        for page, number, (marked, block) in found
        if marked == language and holding in block
    ]


def table_after(page: Path, heading: str) -> dict[str, list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text_of(page).partition(heading)[2].partition("\n#")[0].splitlines()
        if line.startswith("| `")
    ]
    return {cells[0]: cells[1:] for cells in rows}


def commands_of(block: str) -> list[list[str]]:
    """Return the arguments of each moa-mcp command of a block."""
    lines = [shlex.split(part, comments=True) for line in block.splitlines() for part in line.split(" && ")]
    found = [words[1:] for words in lines if words and Path(words[0]).name == "moa-mcp"]
    return [words[: words.index(">")] if ">" in words else words for words in found]


def parsed(arguments: list[str]) -> click.Context:
    """Parse a command as the command line does, without running it."""
    command: click.Command = commands
    while isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
        command, arguments = command.commands[arguments[0]], arguments[1:]
    return command.make_context(command.name, [*arguments])


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_every_code_block_is_of_a_language_that_is_tested(page: Path) -> None:
    text = text_of(page)
    marked = [language for language, _ in FENCE.findall(text)]
    assert set(marked) <= LANGUAGES
    assert len(re.findall(r"^ *(?:```|~~~)", text, re.MULTILINE)) == 2 * len(marked)


@pytest.mark.parametrize("block", blocks("toml"))
def test_the_configurations_load_without_warnings(block: str) -> None:
    whole = block if "[pipelines." in block else f"{block}\n{PIPELINE}"
    config = parse(whole)
    assert [lint for each in config.pipelines.values() for lint in plan(each).lint] == []
    assert config.notes == ()


@pytest.mark.parametrize("block", blocks('toml title="models.toml"'))
def test_the_entries_of_the_table_of_models_are_valid(block: str, tmp_path: Path) -> None:
    table = tmp_path / "models.toml"
    table.write_text(block, "utf-8")
    assert read(table)


@pytest.mark.parametrize("block", blocks("python"))
def test_the_programs_run_without_warnings(block: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(block, "utf-8")
    command = [sys.executable, "-W", "error", str(program)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("block", blocks("json"))
def test_the_snippets_for_clients_start_the_console_script_or_name_its_address(block: str) -> None:
    ((_, servers),) = json.loads(block).items()
    entry = servers["moa"]
    assert entry.get("command") == "moa-mcp" or entry["url"].endswith("/mcp")


@pytest.mark.parametrize("block", blocks("sh"))
def test_the_commands_parse(block: str) -> None:
    for arguments in commands_of(block):
        parsed(arguments)


@pytest.mark.parametrize("block", blocks("sh"))
def test_the_commands_are_those_of_a_shell(block: str) -> None:
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("needs bash")
    subprocess.run([shell, "-n", "-c", block], check=True, timeout=10)


@pytest.mark.parametrize("block", blocks("sh", holding="--offline"))
def test_a_block_with_offline_commands_runs_from_top_to_bottom(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"MOA_MCP_CONFIG": str(shipped()), "MOA_MCP_JOURNAL": str(tmp_path / "runs.db")}
    for arguments in commands_of(block):
        result = CliRunner().invoke(commands, arguments, env=environ)
        assert result.exit_code == 0, (arguments, result.output)


def links(page: Path) -> Iterator[str]:
    found = re.findall(r"\]\(([^)\s]+)\)|\bsrc(?:set)?=\"([^\"\s]+)\"", text_of(page))
    yield from (link for pair in found for link in pair if link and not link.startswith(("http://", "https://")))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_the_links_lead_to_files_and_headings(page: Path) -> None:
    for link in links(page):
        path, _, heading = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        assert not heading or heading in slugs(target), link


def slugs(page: Path) -> set[str]:
    return {re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in headings(page)}


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)


def test_the_navigation_of_the_site_has_every_page_once() -> None:
    nav = tomllib.loads(text_of(ROOT / "zensical.toml"))["project"]["nav"]
    listed = [path for section in nav for (entry,) in [section.values()] for path in paths(entry)]
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES[1:])


def test_the_readme_links_every_page() -> None:
    pages = {name_of(page) for page in PAGES[1:]} - {"docs/index.md"}
    assert pages <= set(links(PAGES[0]))


def paths(entry: str | list[dict[str, str]]) -> list[str]:
    return [entry] if isinstance(entry, str) else [path for each in entry for path in each.values()]


def test_the_table_of_pipelines_states_their_calls() -> None:
    pipelines = load(shipped()).pipelines
    stated = {name.strip("`"): int(cells[1]) for name, cells in table_after(PAGES[0], "## Pipelines").items()}
    assert stated == {name: plan(each).calls for name, each in pipelines.items() if not name.endswith("_paper")}


def test_the_table_of_steps_names_every_step() -> None:
    assert {name.strip("`") for name in table_after(DOCS / "steps.md", "# Steps")} == set(STEP_TYPES)


def test_the_table_of_settings_names_every_table() -> None:
    assert {name.strip("`[]") for name in table_after(DOCS / "configuration.md", "## Settings")} == set(SETTINGS)


def test_the_picture_shows_a_run_of_the_pipeline(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("needs a pseudo-terminal")
    drawn = tmp_path / "run.svg"
    subprocess.run([sys.executable, ROOT / "tools" / "picture.py", drawn], check=True, timeout=60)
    for picture in (drawn, DOCS / "run.svg"):
        shown = text_of(picture)
        assert all(step in shown for step in ("propose", "synthesize", "aggregate"))
        assert "@font-face" not in shown


def test_every_picture_of_a_page_is_small_and_shown() -> None:
    pictures = set((DOCS / "pictures").iterdir())
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    assert {picture.name for picture in pictures if picture.stat().st_size > 150_000} == set()
    assert pictures <= shown


def test_what_the_package_exports_is_there_and_sorted() -> None:
    assert moa_mcp.__all__ == sorted(moa_mcp.__all__)
    assert all(hasattr(moa_mcp, name) for name in moa_mcp.__all__)
