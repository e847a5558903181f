from __future__ import annotations

import errno
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_config_path

from moa_mcp import config
from moa_mcp.config import (
    BudgetSettings,
    Config,
    JournalSettings,
    LimitSettings,
    PanelSettings,
    Pipeline,
    StepDefaults,
    load,
    parse,
    shipped,
)
from moa_mcp.errors import ConfigError
from moa_mcp.routing.routes import Route
from moa_mcp.steps import Agent, Aggregate, Member, Propose, Refine, Shuffle
from tests.support.tables import X, pipe

GOOD = pipe(X)


def test_what_a_step_leaves_open_comes_from_the_defaults() -> None:
    text = """
        [defaults]
        temp = 0.1
        max_tokens = 99
        timeout_s = 5
        quorum = 2

        [models.m]
        routes = ["openai/m"]

        [pipelines.mine]
        steps = [
            { step = "propose", agents = ["m", { model = "openai/x", samples = 2 }], temp = 1 },
            { step = "propose", agents = ["m"] },
            { step = "refine", agents = ["m"], quorum = 1 },
            { step = "refine", agents = ["m"] },
            { step = "shuffle" },
            { step = "aggregate", agent = "m", temperature = 0, max_tokens = 7, timeout_s = 1.5, prompt = "Sum up." },
        ]
    """
    panel = (Agent(model="m"),)
    common: dict[str, Any] = {"max_tokens": 99, "timeout_s": 5.0, "hedge": "auto"}
    assert parse(text).pipelines == {
        "mine": Pipeline(
            name="mine",
            title="Mine",
            description="",
            steps=(
                Propose(
                    agents=(*panel, Agent(model="openai/x", samples=2)),
                    temperature=1.0,
                    quorum=2,
                    grace_s="auto",
                    **common,
                ),
                Propose(agents=panel, temperature=0.1, quorum=1, grace_s="auto", **common),
                Refine(agents=panel, temperature=0.1, quorum=1, **common),
                Refine(agents=panel, temperature=0.1, quorum=2, **common),
                Shuffle(),
                Aggregate(
                    agent=Member(model="m"),
                    temperature=0.0,
                    max_tokens=7,
                    timeout_s=1.5,
                    prompt="Sum up.",
                    hedge="auto",
                ),
            ),
        )
    }


def test_a_model_without_a_table_has_itself_as_its_route() -> None:
    text = """
        [models.m]
        routes = ["openai/m", { model = "openai/x", api_base = "http://localhost:1/v1", api_key_env = "GATE_KEY" }]

        [pipelines.p]
        steps = [{ step = "propose", agents = ["m", "anthropic/y"] }, { step = "aggregate", agent = "anthropic/y" }]
    """
    assert parse(text).models == {
        "m": (
            Route(model="openai/m"),
            Route(model="openai/x", api_base="http://localhost:1/v1", api_key_env="GATE_KEY"),
        ),
        "anthropic/y": (Route(model="anthropic/y"),),
    }


def test_a_file_needs_pipelines_and_nothing_else() -> None:
    read = parse(GOOD, "mine.toml")
    assert read == Config(
        "mine.toml",
        StepDefaults(),
        LimitSettings(),
        BudgetSettings(),
        JournalSettings(),
        PanelSettings(),
        {"openai/x": (Route(model="openai/x"),)},
        {},
        read.pipelines,
    )
    assert list(read.pipelines) == ["p"]


def test_each_table_of_settings_is_read_on_its_own() -> None:
    read = parse(
        f"""
        [limits]
        attempts = 2
        deadline_s = 5
        [budget]
        max_cost_usd = 0.5
        confirm_above_usd = 0.25
        [journal]
        retention_days = "forever"
        {GOOD}
        """
    )
    assert (read.limits, read.budget, read.journal) == (
        LimitSettings(attempts=2, deadline_s=5.0),
        BudgetSettings(max_cost_usd=Decimal("0.5"), confirm_above_usd=Decimal("0.25")),
        JournalSettings(retention_days="forever"),
    )
    assert (read.pipelines["p"].deadline_s, read.pipelines["p"].confirm_above_usd) == (5.0, Decimal("0.25"))
    assert read.notes == ()


def test_defaults_may_hold_the_settings_of_the_other_tables_and_a_note_says_where_they_belong() -> None:
    read = parse(
        f"""
        [defaults]
        quorum = 2
        attempts = 2
        retention_days = 30
        wait_s = 9
        max_cost_usd = 0.5
        [limits]
        stall_s = 5
        {GOOD}
        """
    )
    assert (read.defaults, read.limits, read.budget, read.journal) == (
        StepDefaults(quorum=2),
        LimitSettings(attempts=2, wait_s=9.0, stall_s=5.0),
        BudgetSettings(max_cost_usd=Decimal("0.5")),
        JournalSettings(retention_days=30),
    )
    (note,) = read.notes
    assert note == (
        "move these keys out of [defaults]: attempts, wait_s to [limits]; max_cost_usd to [budget]; "
        "retention_days to [journal]"
    )


def test_the_shipped_file_has_its_settings_in_their_tables() -> None:
    assert load(shipped()).notes == ()


def test_a_pipelines_title_and_description_are_its_own() -> None:
    text = f'[pipelines.two_words]\ntitle = "T"\ndescription = "D"\nsteps = [{X}]\n[pipelines.other_one]\nsteps = [{X}]'
    assert [(each.title, each.description) for each in parse(text).pipelines.values()] == [
        ("T", "D"),
        ("Other one", ""),
    ]


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipelines.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(path).source == str(path)
    assert load(path).pipelines == parse(GOOD).pipelines


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"title = '\xff'", "not UTF-8: byte 0xff at offset 9; save the file as UTF-8"),
        ("title = 'ü'".encode("latin-1"), "not UTF-8: byte 0xfc at offset 9; save the file as UTF-8"),
        (b"[pipelines.p\n", "not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 13)"),
    ],
)
def test_a_file_that_is_no_toml_says_where(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "pipelines.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: {fault}"


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: no such file"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path}: can't be read: {os.strerror(errno.EISDIR)}"


def test_the_named_file_is_taken_before_the_users_own_and_that_before_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOA_MCP_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert config.find() == config.shipped()
    own = user_config_path("moa-mcp") / "pipelines.toml"
    own.parent.mkdir(parents=True)
    own.write_text(GOOD)
    assert config.find() == own
    monkeypatch.setenv("MOA_MCP_CONFIG", "~/named.toml")
    assert config.find() == tmp_path / "named.toml"
    (tmp_path / "named.toml").write_text(GOOD)
    assert load().source == str(tmp_path / "named.toml")
