"""What `ask` shows at a terminal and elsewhere: what it waits for, what happened, and the answer last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.test_cli import POSIX, Terminal, environ, run, served
from tests.support.model_server import Hang, ModelServer, Reply, Status
from tests.support.nursery import Nursery

__all__ = ["environ"]

TWO = '{step="propose", agents=["first", "second"]}'
AGGREGATE = '{step="aggregate", agent="last"}'
TAKE = '{step="take", n=1}'
DRAWN_AGAIN = re.compile(r"\r(?:\x1b\[(?:1A|2K))+")
"""What erases a frame of the display."""
STYLES = re.compile(r"\x1b\[(?:\d+(?:;\d+)*m|\?25[lh])|\r")


def screens(terminal: Terminal) -> list[str]:
    """Return the frames of the display and, last, what stays on the screen."""
    return [STYLES.sub("", each).strip("\n") for each in DRAWN_AGAIN.split(terminal.shown)]


@POSIX
def test_it_says_whom_it_waits_for_and_why_a_request_is_not_sent(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("first", Status(429, "slow down", retry_after="40"))
        server.script("second", Hang())
        config = served(server, tmp_path, TWO, AGGREGATE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        terminal.until("40 s left.")
        terminal.process.terminate()
        assert terminal.until_end() == 143
    frame = screens(terminal)[-2].splitlines()
    assert frame[-1] == "first: waiting for a retry after RateLimited, 40 s left."
    assert re.fullmatch(r"Waiting for second, \d s so far\.", frame[-2])
    assert next(line for line in frame if line.startswith("  first ")).endswith("waits 40 s")


@POSIX
def test_it_says_which_limit_calls_wait_for(nursery: Nursery, environ: dict[str, str], tmp_path: Path) -> None:
    with ModelServer() as server:
        server.script("first", Hang())
        path = Path(served(server, tmp_path, '{step="propose", agents=[{model="first", samples=5}]}', TAKE))
        path.write_text(f"limits.provider_concurrency = 2\n{path.read_text('utf-8')}", "utf-8")
        terminal = Terminal(environ, "--config", str(path), "ask", "one", "Why?", nursery=nursery)
        terminal.until("3x first: waiting for provider_concurrency = 2 at openai.")
        terminal.process.terminate()
        terminal.until_end()
    assert any("Waiting for 2x first, " in frame for frame in screens(terminal))


@POSIX
def test_it_says_that_a_second_request_was_sent_for_a_late_call(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("first", Reply("one"))
        server.script("second", Hang())
        hedged = '{step="propose", agents=[{model="first", samples=4}, "second"], hedge=true}'
        config = served(server, tmp_path, hedged, AGGREGATE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        terminal.until("1 second request sent because the first is late")
        terminal.process.terminate()
        terminal.until_end()
    assert any("2 requests sent" in frame for frame in screens(terminal))


@POSIX
def test_an_answer_that_is_written_at_the_end_is_the_last_on_the_screen(
    nursery: Nursery, environ: dict[str, str]
) -> None:
    terminal = Terminal(environ, "ask", "vote", "What is 2 + 2?", "--offline", "--seed", "7", nursery=nursery)
    assert terminal.until_end() == 0
    last = screens(terminal)[-1].splitlines()
    assert last[-1].endswith("The answer is 4")
    assert [line.split()[:2] for line in last if re.match(r"\d ", line)] == [["1", "propose"], ["2", "vote"]]
    assert last[-3].startswith("complete  vote  run ")
    assert len(last) < 24


@POSIX
def test_an_answer_that_arrives_follows_the_bars_and_only_the_summary_follows_it(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("last", Reply("the answer", chunk_delay_s=0.3))
        config = served(server, tmp_path, TWO, AGGREGATE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 0
    last = screens(terminal)[-1].splitlines()
    answer = last.index("the answer")
    assert [line.split()[0] for line in last[:answer] if line.startswith("  ")] == ["first", "second", "last"]
    assert last[answer - 3].rstrip().endswith("answers now")
    assert (last[answer - 1], last[answer + 1]) == ("", "")
    assert last[answer + 2].startswith("- 3 of 3 calls answered in ")
    assert last[-1].startswith("complete  one  run ")


@POSIX
def test_an_answer_that_arrives_at_once_follows_the_bars_of_the_whole_run(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("last", Reply("the answer", delay_s=0.3))
        config = served(server, tmp_path, TWO, AGGREGATE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 0
    last = screens(terminal)[-1].splitlines()
    assert "1 of 1 answered" in "\n".join(last)
    assert not any("answers now" in line for line in last)
    assert last[-1] == "the answer"


@POSIX
def test_while_a_broken_answer_is_repeated_it_says_what_it_waits_for(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        broken = Reply("half of it", chunk_delay_s=0.2, breaks_off=True)
        server.script("last", broken, Status(429, "slow down", retry_after="1"), Reply("all of it"))
        config = served(server, tmp_path, TWO, AGGREGATE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 0
    shown = terminal.shown
    waits = shown.index("last: waiting for a retry after RateLimited", shown.index("half of it"))
    assert waits < shown.index("(cut off; the answer starts again)") < shown.index("all of it")


@POSIX
@pytest.mark.parametrize("size", [(80, 24), (50, 24), (120, 40)])
def test_forty_members_fit_on_the_screen(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path, size: tuple[int, int]
) -> None:
    with ModelServer() as server:
        server.script("second", Status(401, "who are you?"))
        server.script("first", Reply("one", delay_s=0.3))
        many = '{step="propose", agents=[{model="first", samples=39}, "second"], quorum=1}'
        config = served(server, tmp_path, many, TAKE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery, size=size)
        assert terminal.until_end() == 0
    shown = screens(terminal)
    assert max(len(frame.splitlines()) for frame in shown) <= size[1]
    assert max(len(line) for frame in shown for line in frame.splitlines()) <= size[0]
    assert "AuthFailed" in shown[-1]
    assert re.search(r"and \d+ more", shown[-1])


@POSIX
def test_a_terminal_that_can_not_draw_gets_plain_lines(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        config = served(server, tmp_path, TWO, AGGREGATE)
        plain = {**environ, "TERM": "dumb"}
        terminal = Terminal(plain, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 0
    assert "\x1b" not in terminal.shown
    assert terminal.shown.count("2 of 2 answered") == 1


def test_without_a_terminal_a_long_pause_is_told_once_in_a_plain_line(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("first", Status(429, "slow down", retry_after="40"))
        config = served(server, tmp_path, '{step="propose", agents=[{model="first", samples=3}]}', TAKE)
        with nursery.start("--config", config, "ask", "one", "Why?", environ=environ) as process:
            told = process.stderr.readline()
            process.terminate()
            rest = process.stderr.read()
    assert re.fullmatch(r"first: waiting for a retry after RateLimited, (40|39) s left\.\n", told)
    assert "waiting" not in rest
    assert "\x1b" not in told + rest


def test_without_a_terminal_what_happened_is_printed_in_plain_lines(environ: dict[str, str]) -> None:
    done = run(environ, "ask", "vote", "What is 2 + 2?", "--offline", "--seed", "7")
    assert done.stdout.endswith("The answer is 4\n")
    assert "3 of 3 answered" in done.stderr
    assert "\x1b" not in done.stderr
    assert max(map(len, done.stderr.splitlines())) <= 100


@POSIX
def test_a_fork_shows_the_steps_that_it_reuses(nursery: Nursery, environ: dict[str, str], tmp_path: Path) -> None:
    kept = {**environ, "MOA_MCP_JOURNAL": str(tmp_path / "runs.sqlite")}
    assert nursery.run("ask", "rank_aggregate", "What is 2 + 2?", "--offline", environ=kept).returncode == 0
    terminal = Terminal(kept, "runs", "fork", "last", "--from", "2", "--offline", nursery=nursery)
    assert terminal.until_end() == 0
    first, second = (line for line in screens(terminal)[-1].splitlines() if line.startswith(("1 ", "2 ")))
    assert first.rstrip().endswith("reused")
    assert "1 of 1 answered" in second


@POSIX
def test_a_run_in_progress_is_shown_up_to_now(nursery: Nursery, environ: dict[str, str], tmp_path: Path) -> None:
    with ModelServer() as server:
        server.script("second", Hang())
        options = ("--config", served(server, tmp_path, TWO, AGGREGATE), "--journal", str(tmp_path / "runs.sqlite"))
        terminal = Terminal(environ, *options, "ask", "one", "Why?", nursery=nursery)
        terminal.until("1 of 2 answered")
        shown = nursery.run("runs", "show", "last", *options[2:], environ=environ).stdout.splitlines()
        terminal.process.terminate()
        terminal.until_end()
    assert next(line for line in shown if line.startswith("  second ")).count("─") > 1
    assert any("─ in progress" in line for line in shown)


@POSIX
def test_where_several_steps_are_large_each_has_its_turn(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        steps = [f'{{step="{name}", agents=[{{model="first", samples=15}}]}}' for name in ("propose", "synthesize")]
        config = served(server, tmp_path, *steps, TAKE)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 0
    shown = screens(terminal)[-1]
    first, _, second = shown.partition("2 synthesize")
    assert abs(first.count("  first ") - second.count("  first ")) <= 1
    assert first.count("  first ") >= 2
