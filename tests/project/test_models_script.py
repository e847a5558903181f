"""The script that checks models.toml: what ended, ends, vanished, changed its price, and what is newer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.project.structure import ROOT

TODAY = "2027-01-01"
PRICE = {"input_cost_per_token": 2e-6, "output_cost_per_token": 1e-5, "max_input_tokens": 1000, "mode": "chat"}
OPENAI = {**PRICE, "litellm_provider": "openai"}
LISTED: dict[str, dict[str, Any]] = {
    "gpt-8-sol": OPENAI,
    "gpt-8.1-sol": OPENAI,
    "gpt-7-sol": OPENAI,
    "gpt-9-sol": {**OPENAI, "deprecation_date": "2026-12-31"},
    "gpt-9-embedding": {**OPENAI, "mode": "embedding"},
    "gpt-old": {**OPENAI, "deprecation_date": "2026-12-31"},
    "gpt-late": {**OPENAI, "deprecation_date": "2027-01-02"},
    "gpt-later": {**OPENAI, "deprecation_date": "2027-03-03"},
    "gpt-free": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1000},
}
ENTRY = """
[{name}]
maker = "OpenAI"
tier = "fast"
routes = [{routes}]
window = 1000
source = "{source}"
checked = 2026-12-01
{more}
"""
PIPELINES = """
[models.late]
routes = ["openai/gpt-late"]

[pipelines.one]
description = "One model answers."
steps = [{ step = "propose", agents = ["late"] }]
"""


class Printed(NamedTuple):
    code: int
    text: str


def entry(name: str, *routes: str, source: str = "litellm", more: str = "") -> str:
    return ENTRY.format(name=name, routes=", ".join(f'"{each}"' for each in routes), source=source, more=more)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return a folder with a litellm of our own, whose table is `LISTED`, and an empty pipelines.toml."""
    package = tmp_path / "litellm"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "model_prices_and_context_window_backup.json").write_text(json.dumps(LISTED), "utf-8")
    (tmp_path / "pipelines.toml").write_text(PIPELINES.replace("gpt-late", "gpt-8-sol"), "utf-8")
    return tmp_path


def script(folder: Path, *entries: str, options: tuple[str, ...] = ()) -> Printed:
    """Run the script on a table with these entries."""
    (folder / "models.toml").write_text("".join(entries), "utf-8")
    paths = ("--table", folder / "models.toml", "--pipelines", folder / "pipelines.toml")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "models.py", "--today", TODAY, *paths, *options],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return Printed(done.returncode, done.stdout)


def test_a_table_of_living_models_gives_no_warning(folder: Path) -> None:
    printed = script(folder, entry("sol", "openai/gpt-8.1-sol"), options=("--strict",))
    assert printed.code == 0
    assert printed.text.splitlines()[-1] == "0 warnings"


def test_ends_are_reported_with_days_left_and_successor(folder: Path) -> None:
    printed = script(
        folder,
        entry("old", "openai/gpt-old", more='successor = "sol"\nends = 2026-12-31'),
        entry("late", "openai/gpt-8-sol", "openai/gpt-late", more='successor = "sol"'),
        entry("later", "openai/gpt-later", more="ends = 2027-03-03"),
        entry("sol", "openai/gpt-8.1-sol"),
    )
    assert "\nEnded:\n  old: openai/gpt-old ended on 2026-12-31; successor sol\n" in printed.text
    ending = "\nEnd within 60 days:\n  late: openai/gpt-late ends on 2027-01-02, in 1 day; successor sol\n\n"
    assert ending in printed.text
    assert printed.text.endswith("\n2 warnings\n")


def test_routes_of_pipelines_are_checked_too(folder: Path) -> None:
    (folder / "pipelines.toml").write_text(PIPELINES, "utf-8")
    printed = script(folder, entry("sol", "openai/gpt-8.1-sol"))
    assert "\n  pipelines.toml, late: openai/gpt-late ends on 2027-01-02, in 1 day\n" in printed.text


def test_an_end_that_the_table_lacks_is_reported(folder: Path) -> None:
    printed = script(folder, entry("later", "openai/gpt-later"), entry("sol", "openai/gpt-8.1-sol"))
    assert "\n  later: openai/gpt-later ends on 2027-03-03, models.toml has none\n" in printed.text


def test_routes_that_litellm_no_longer_has_or_has_no_price_for_are_reported(folder: Path) -> None:
    printed = script(
        folder,
        entry("sol", "openai/gpt-8.1-sol", "openai/gone"),
        entry("free", "openai/gpt-free"),
        entry("gateway", "openrouter/openai/sol", source="gateway"),
    )
    assert "\nNot in litellm's table:\n  sol: openai/gone\n\n" in printed.text
    price = "add usd_per_million"
    lacking = [f"  {line}; {price}" for line in ("sol: openai/gone", "free: openai/gpt-free")]
    assert [*lacking, f"  gateway: openrouter/openai/sol; {price}"] == [
        line for line in printed.text.splitlines() if price in line
    ]


def test_a_changed_price_is_reported(folder: Path) -> None:
    routes = ("openai/gpt-8.1-sol", "openrouter/openai/sol")
    price = "usd_per_million = {{ prompt = {}, completion = 10 }}"
    assert script(folder, entry("sol", *routes, source="search", more=price.format(2))).text.endswith("\n0 warnings\n")
    printed = script(folder, entry("sol", *routes, source="search", more=price.format(3)))
    assert "\n  sol: openai/gpt-8.1-sol costs $2/$10, models.toml has $3/$10\n" in printed.text


def test_living_chat_models_with_a_higher_version_are_shown_without_a_warning(folder: Path) -> None:
    printed = script(folder, entry("sol", "openai/gpt-8-sol"))
    assert "\nNewer than the table (no warning):\n  openai/gpt-8.1-sol\n\n0 warnings\n" in printed.text


def test_a_warning_fails_only_if_asked(folder: Path) -> None:
    entries = (entry("sol", "openai/gpt-8.1-sol", "openai/gone"),)
    assert (script(folder, *entries).code, script(folder, *entries, options=("--strict",)).code) == (0, 1)


def test_the_shipped_tables_are_checked_by_default() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "models.py"], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
