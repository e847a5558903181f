"""What models and servers write, where it enters a terminal or a log: ordinary text whole, and nothing that hides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import POSIX, Terminal, environ, invoke, served
from tests.support.model_server import ModelServer, Reply, Status
from tests.support.nursery import Nursery

__all__ = ["environ"]

ORDINARY = "می\u200cشد 👩\u200d👧 ❤\ufe0f e\u0301 שלום"
HIDDEN = (
    "\u202egnp\u202c a\u200bb \u200ec\u200f \u2066d\u2069 e\u2028f g\rh "
    "😀\U000e0100\U000e0101 \U000e0041\U000e0042 \x9b1m"
)
SHOWN = "⟨U+202E⟩gnp⟨U+202C⟩ ab c ⟨U+2066⟩d⟨U+2069⟩ e\nf g\nh 😀⟨U+E0100⟩ ⟨U+E0041⟩ 1m"
ACTS_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]"
)
"""But for the escapes and carriage returns that a terminal is commanded with."""
PROPOSE = '{step="propose", agents=["first", "second"]}'
AGGREGATE = '{step="aggregate", agent="last"}'


def lines(text: str) -> str:
    return text.replace("\r\n", "\n")


@POSIX
def test_a_streamed_answer_is_shown_whole_and_hides_nothing_though_it_comes_in_pieces(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("second", Status(400, f"no {HIDDEN}"))
        server.script("last", Reply(f"{ORDINARY} {HIDDEN}"))
        config = served(server, tmp_path, PROPOSE, AGGREGATE)
        terminal = Terminal(environ, "--config", config, "ask", "one", f"Why {HIDDEN}?", nursery=nursery)
        assert terminal.until_end() == 0
    shown = lines(terminal.shown)
    assert shown.count(f"{ORDINARY} {SHOWN}") == 1
    assert f"no {' '.join(SHOWN.split())}" in " ".join(shown.split())
    assert not ACTS_UNSEEN.search(shown)


def test_what_is_on_record_is_shown_and_listed_so_and_exported_in_ascii(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    kept = environ | {"MOA_MCP_JOURNAL": str(tmp_path / "runs.sqlite")}
    with ModelServer() as server:
        server.script("*", Reply(f"{ORDINARY} {HIDDEN}"))
        config = ["--config", served(server, tmp_path, PROPOSE, AGGREGATE)]
        asked = nursery.run(*config, "ask", "one", f"Why {HIDDEN}?", environ=kept)
        told = nursery.run(*config, "ask", "one", "Why?", "--json", environ=kept)
    commands = (["show", "last"], ["show", "last", "--full"], ["list"])
    seen = [asked.stdout, asked.stderr, *(invoke("runs", *each, **kept).output for each in commands)]
    exported = invoke("runs", "export", "last", **kept).stdout
    whole: dict[str, Any] = json.loads(exported)
    assert asked.stdout == f"{ORDINARY} {SHOWN}\n"
    assert f"{ORDINARY} {SHOWN}" in seen[2]
    assert not [each for each in seen if ACTS_UNSEEN.search(each)]
    assert exported.isascii()
    assert told.stdout.isascii()
    assert whole["answer"] == json.loads(told.stdout)["answer"] == f"{ORDINARY} {HIDDEN}"


@pytest.mark.parametrize(
    "args",
    [
        ["ask", f"vote{HIDDEN}", "Hi"],
        ["ask", f"What is {HIDDEN}?"],
        ["ask", "vote", "Hi", f"there{HIDDEN}"],
        ["ask", "vote", "Hi", f"--seed={HIDDEN}"],
        ["ask", "vote", "Hi", "--context", f"/nowhere{HIDDEN}"],
        ["check", f"x{HIDDEN}"],
        ["serve", f"x{HIDDEN}"],
        ["runs", f"x{HIDDEN}"],
        [f"x{HIDDEN}"],
        ["check", "--config", f"/nowhere{HIDDEN}"],
    ],
)
def test_an_error_that_quotes_an_argument_hides_nothing(args: list[str]) -> None:
    refused = invoke(*args)
    assert refused.exit_code == 2
    assert not ACTS_UNSEEN.search(refused.output)
    assert "gnp" in refused.output or "\\u202e" in refused.output or "seed" in refused.output


def test_a_configuration_that_hides_text_is_told_and_checked_without(tmp_path: Path) -> None:
    path = tmp_path / "pipelines.toml"
    path.write_text(r'[pipelines."a\u202Eb\U000E0041\u2028"]' + "\nsteps = []", "utf-8")
    refused = invoke("check", "--config", str(path))
    step = '{ step = "propose", agents = ["m"] }'
    route = r'{ model = "openai/\u202Ex\U000E0041y\u2028", api_base = "http://127.0.0.1:9/v1" }'
    sound = [f"models.m.routes = [{route}]", "[pipelines.one]", r'description = "\u202E"']
    path.write_text("\n".join([*sound, rf"title = '{HIDDEN[:5]}'", f"steps = [{step}]"]), "utf-8")
    seen = [invoke(*args, "--config", str(path)).output for args in (["check", "one"], ["pipelines"])]
    assert refused.exit_code == 2
    assert "openai/⟨U+202E⟩x⟨U+E0041⟩y" in seen[0]
    assert not [each for each in (refused.output, *seen) if ACTS_UNSEEN.search(each)]


ATTACKS = (
    "\x1b[31mA\x1b]0;B\x07\x1b[2JC\x1bP1$qD\x1b\\\x9b2JE\x1b[HF\x1b]8;;http://x\x1b\\G\x1b[?1049hH\r\x1b[1AI\x08\x7f"
)
INERT = "[31mA]0;B[2JCP1$qD\\2JE[HF]8;;http://x\\G[?1049hH"
OWN = re.compile(r"\x1b\[(?:(?:\d+;?)*m|\?25[lh]|1A|2K)")
"""The sequences that the display itself uses."""


@POSIX
def test_no_sequence_of_a_model_reaches_the_terminal_though_it_comes_in_single_characters(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    hostile = f'"evil{ATTACKS}\u202e"'.encode("unicode_escape").decode().replace("\\x", "\\u00")
    with ModelServer() as server:
        server.script("first", Status(429, f"wait {ATTACKS}", retry_after="1"), Reply(f"one {ATTACKS}"))
        server.script("second", Status(400, f"no {ATTACKS}{HIDDEN}"))
        server.script("last", Reply(f"begin {ATTACKS}{HIDDEN} end", by_letter=True))
        path = Path(served(server, tmp_path, f'{{step="propose", agents=["first", "second", {hostile}]}}', AGGREGATE))
        model = f'{hostile}.routes = [{{ model = "openai/first", api_base = "{server.url}" }}]'
        path.write_text(path.read_text("utf-8").replace("[models]", f"[models]\n{model}"), "utf-8")
        options = ("--config", str(path), "--journal", str(tmp_path / f"{HIDDEN[:4]}runs.sqlite"))
        asked = Terminal(environ, *options, "ask", "one", f"Why {ATTACKS}{HIDDEN}?", nursery=nursery, size=(120, 40))
        assert asked.until_end() == 0
        forked = Terminal(environ, *options, "runs", "fork", "last", "--from", "2", nursery=nursery)
        assert forked.until_end() == 0
    shown = Terminal(environ, *options, "runs", "show", "last", nursery=nursery)
    assert shown.until_end() == 0
    for terminal in (asked, forked, shown):
        text = OWN.sub("", terminal.shown)
        assert not ACTS_UNSEEN.search(text)
        assert "\x1b" not in text
        assert "\x1b[31mA" not in terminal.shown
        assert f"begin {INERT}" in text
    assert "evil[31mA" in asked.shown
