"""The answer at a terminal while it comes: one text, and only what is the answer."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_cli import POSIX, Terminal, environ, served
from tests.support.model_server import Hang, ModelServer, Reply, Status
from tests.support.nursery import Nursery

__all__ = ["environ"]

pytestmark = POSIX

EIGHT = '{step="propose", agents=[{model="first", samples=8}]}'
AGGREGATE = '{step="aggregate", agent="last", max_tokens=600}'
TWO = '{step="propose", agents=["first", "second"]}'
WINDOW = "window = 2600"
CLOCKS_S = 0.01
"""Events have the time of day, durations that of another clock."""


def windowed(server: ModelServer, folder: Path, *steps: str) -> str:
    """Return the configuration in which the last model's window takes two of the first one's answers."""
    path = Path(served(server, folder, *steps))
    text = path.read_text("utf-8")
    path.write_text(text.replace('"openai/last",', f'"openai/last", {WINDOW},'), "utf-8")
    return str(path)


def test_an_answer_of_several_windows_is_shown_once(nursery: Nursery, environ: dict[str, str], tmp_path: Path) -> None:
    with ModelServer() as server:
        server.script("first", Reply("word " * 400))
        replies = [Reply(f"text of window {number}") for number in range(1, 4)]
        server.script("last", *replies, Reply("text of the last window", chunk_delay_s=0.05))
        config = windowed(server, tmp_path, EIGHT, AGGREGATE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 0
        asked = [request for request in server.requests if request.model == "last"]
    assert [request.body.get("stream", False) for request in asked] == [False, False, False, True]
    assert "text of window" not in terminal.shown
    assert terminal.shown.count("text of the last window") == 1
    assert "cut off" not in terminal.shown


def test_progress_says_which_window_is_asked(nursery: Nursery, environ: dict[str, str], tmp_path: Path) -> None:
    with ModelServer() as server:
        server.script("first", Reply("word " * 400))
        server.script("last", Reply("text of window 1"), Hang())
        config = windowed(server, tmp_path, EIGHT, AGGREGATE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        terminal.until("window 2, answers 3 to 4 of 8")
        terminal.process.terminate()
        assert terminal.until_end() == 143


def test_an_answer_that_breaks_off_and_starts_anew_is_told(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("last", Reply("half of it", chunk_delay_s=0.2, breaks_off=True), Reply("all of it"))
        config = served(server, tmp_path, TWO, AGGREGATE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 0
    first = terminal.shown.index("half of it")
    assert first < terminal.shown.index("(cut off; the answer starts again)") < terminal.shown.index("all of it")
    assert terminal.shown.count("cut off") == terminal.shown.count("all of it") == 1


def test_a_fallbacks_answer_follows_what_broke_off(nursery: Nursery, environ: dict[str, str], tmp_path: Path) -> None:
    with ModelServer() as server:
        broken = Reply("half of it", chunk_delay_s=0.2, breaks_off=True)
        server.script("last", broken, Status(400, "no more"))
        server.script("second", Reply("two"), Reply("all of it"))
        fallback = '{step="aggregate", agent="last", fallback_agent="second"}'
        config = served(server, tmp_path, TWO, fallback)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 0
    assert terminal.shown.index("half of it") < terminal.shown.index("cut off") < terminal.shown.index("all of it")
    assert terminal.shown.count("all of it") == 1


def test_an_answer_that_stays_unrefined_is_told_from_the_half_of_its_refinement(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("first", Reply("the answer before"))
        broken = Reply("half of a refinement", chunk_delay_s=0.2, breaks_off=True)
        server.script("last", broken, Status(400, "no more"))
        one, refine = '{step="propose", agents=["first"]}', '{step="refine", agents=["last"], quorum=1}'
        config = served(server, tmp_path, one, refine)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 1
    assert "the answer before" not in terminal.shown
    assert "the text above was cut off and is not the answer" in " ".join(terminal.shown.split())


def test_an_export_says_when_each_attempt_began_waited_ended_and_sent_its_first_text(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("first", Status(500, "sorry"), Reply("one"))
        server.script("last", Reply("half of it", chunk_delay_s=0.2, breaks_off=True), Reply("all of it"))
        options = ("--config", served(server, tmp_path, TWO, AGGREGATE), "--journal", str(tmp_path / "runs.sqlite"))
        assert Terminal(environ, *options, "ask", "one", "Why?", nursery=nursery).until_end() == 0
    run = json.loads(nursery.run(*options, "runs", "export", "last", environ=environ).stdout)
    calls = [call for step in run["steps"] for call in step["calls"]]
    assert [len(call["attempts"]) for call in calls] == [2, 1, 2]
    for call in calls:
        starts = [attempt["started_at"] for attempt in call["attempts"]]
        ends = [attempt["started_at"] + attempt["seconds"] for attempt in call["attempts"]]
        assert run["started_at"] < call["started_at"] <= starts[0]
        assert all(start > end - CLOCKS_S for start, end in zip(starts[1:], ends, strict=False))
    proposed, streamed = [*calls[0]["attempts"], *calls[1]["attempts"]], calls[2]["attempts"]
    assert [attempt["first_text_s"] for attempt in proposed] == [None] * 3
    assert all(0 < attempt["first_text_s"] <= attempt["seconds"] for attempt in streamed)
    assert streamed[0]["first_text_s"] < streamed[0]["seconds"] - 0.2
