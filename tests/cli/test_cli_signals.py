"""Signals end a command as Ctrl-C does: it says so, gives its run up, and says how to go on."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_cli import COMMAND, POSIX, Terminal
from tests.cli.test_cli_runs import environ, listed
from tests.support.model_server import Hang, ModelServer, Reply
from tests.support.nursery import Nursery

__all__ = ["environ"]

pytestmark = POSIX

STEPS = '{step="propose", agents=["first"]}', '{step="aggregate", agent="last"}'


def configured(server: ModelServer, folder: Path) -> str:
    models = [
        f'{name}.routes = [{{ model = "openai/{name}", api_base = "{server.url}" }}]' for name in ("first", "last")
    ]
    path = folder / "served.toml"
    path.write_text("\n".join(["[models]", *models, "[pipelines.one]", f"steps = [{', '.join(STEPS)}]"]), "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)], ids=["TERM", "HUP", "INT"]
)
def test_a_signal_ends_a_run_which_can_be_resumed_forked_and_ended_again_at_once(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path, number: int, code: int
) -> None:
    journal = Path(environ["MOA_MCP_JOURNAL"])
    with ModelServer() as server:
        server.script("last", Hang())
        config = ["--config", configured(server, tmp_path)]
        for at, command in enumerate(
            (["ask", "one", "Why?"], ["runs", "resume", "last"], ["runs", "fork", "last", "--from", "2"])
        ):
            server.clear()
            with nursery.start(*config, *command, environ=environ) as process:
                server.wait_for(lambda requests: any(each.model == "last" for each in requests), timeout=15)
                process.send_signal(number)
                stdout, stderr = process.communicate()
                assert (process.wait(10), stdout) == (code, "")
            run_id = listed(journal)[0]["run_id"]
            told = stderr.splitlines()[-1]
            assert told == f"Interrupted. Run moa-mcp runs resume {run_id} {' '.join(config)} to resume it."
            assert len(listed(journal)) == (2 if at == 2 else 1)
            assert "Traceback" not in stderr
        server.script("last", Reply("So."))
        done = nursery.run(*config, "runs", "resume", "last", "-q", environ=environ)
    assert (done.returncode, done.stdout) == (0, "So.\n")


def test_a_job_in_the_background_that_ignores_ctrl_c_heeds_sigterm_and_one_under_nohup_no_hangup(
    environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("last", Hang())
        command = shlex.join([*COMMAND, "--config", configured(server, tmp_path), "ask", "one", "Why?", "-q"])
        shell = f"trap '' INT HUP; {command} & echo $!; wait $!; echo $?"
        with subprocess.Popen(
            ["sh", "-c", shell], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            job = int(process.stdout.readline())
            server.wait_for(lambda requests: any(each.model == "last" for each in requests), timeout=20)
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                os.kill(job, number)
            stdout, stderr = process.communicate(timeout=20)
    assert stdout == "143\n"
    assert stderr.startswith("Interrupted. Run moa-mcp runs resume ")


def test_a_terminal_that_goes_away_leaves_a_run_that_can_be_resumed(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("last", Reply("streamed words " * 1000, chunk_delay_s=0.1))
        terminal = Terminal(environ, "--config", configured(server, tmp_path), "ask", "one", "Why?", nursery=nursery)
        terminal.until("streamed words ")
        terminal.close()
        terminal.process.send_signal(signal.SIGHUP)
        assert terminal.process.wait(10) == 129
    assert [each["status"] for each in listed(Path(environ["MOA_MCP_JOURNAL"]))] == ["interrupted"]
