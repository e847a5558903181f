"""The server as hosts built on the official TypeScript SDKs use it: over stdio, with their timeouts and aborts.

`npm ci` in tests/interop/typescript brings what they need; without it they are skipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import parameters

FOLDER = Path(__file__).parent / "typescript"
CONFIG = f"""
models.m.routes = ["openai/m"]
pipelines.quick.steps = [{{ step = "propose", agents = ["m"] }}]
pipelines.slow.steps = [{{ step = "propose", agents = ["m"] }}, {'{ step = "synthesize", agents = ["m"] },' * 100}]
"""
DEAR = """
budget.confirm_above_usd = 0
models.m.routes = [{ model = "openai/m", api_base = "http://127.0.0.1:9/v1" }]
pipelines.dear.steps = [{ step = "propose", agents = ["m"] }]
"""


@pytest.fixture(scope="module")
def node() -> str:
    if not (FOLDER / "node_modules").is_dir():
        pytest.skip("run `npm ci` in tests/interop/typescript to test with the TypeScript clients")
    found = shutil.which("node", path=str(FOLDER / "node_modules" / ".bin")) or shutil.which("node")
    if found is None:
        pytest.skip("there is no node to run the TypeScript clients with")
    return found


@pytest.fixture(scope="module", params=["v1", "v2"])
def generation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def session(generation: str, node: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    config = tmp_path_factory.mktemp("typescript") / "pipelines.toml"
    config.write_text(CONFIG)
    return told_by(node, "session.mjs", generation, "--offline", "--config", str(config))


def told_by(node: str, script: str, generation: str, *arguments: str) -> dict[str, Any]:
    server = parameters(*arguments)
    command = [node, script, generation, server.command, *server.args]
    told = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    seen: dict[str, Any] = json.loads(told.stdout)
    return seen


def test_the_tools_are_listed(session: dict[str, Any]) -> None:
    own = ["moa_wait", "moa_resume", "moa_fork", "moa_cancel", "moa_trace", "moa_estimate"]
    assert session["tools"] == ["quick", "slow", *own]
    assert session.get("version") in {None, "2026-07-28"}


def test_the_clients_accept_what_they_validate_against_the_output_schemas(session: dict[str, Any]) -> None:
    run, trace, estimate = (session[name]["structuredContent"] for name in ("answered", "trace", "estimate"))
    assert (trace["run_id"], trace["answer"]) == (run["run_id"], run["answer"])
    assert (estimate["pipeline"], estimate["calls"]) == ("quick", 1)


def test_a_pipeline_answers_with_progress(session: dict[str, Any]) -> None:
    answered, progress = session["answered"], session["progress"]
    data = answered["structuredContent"]
    assert (answered["isError"], data["status"]) == (False, "complete")
    assert answered["content"][0]["text"].startswith(data["answer"])
    assert (progress[0]["progress"], progress[0]["total"]) == (0.1, 1)  # one that comes with the answer may be dropped
    assert all(f"(run {data['run_id']})" in each["message"] for each in progress)


def test_a_client_that_runs_out_of_time_can_go_on_waiting(session: dict[str, Any]) -> None:
    assert session["kept"]["structuredContent"]["status"] == "running", (
        f"CancellationPolicy does not recognise this timeout of the SDK: {session['timeoutError']}"
    )


def test_a_user_who_aborts_ends_the_run(session: dict[str, Any]) -> None:
    assert (session["ended"]["isError"], session["ended"]["structuredContent"]["status"]) == (True, "cancelled")


def test_a_run_above_the_limit_starts_when_its_user_agrees(generation: str, node: str, tmp_path: Path) -> None:
    config = tmp_path / "pipelines.toml"
    config.write_text(DEAR)
    seen = told_by(node, "agreement.mjs", generation, "--journal", "none", "--config", str(config))
    assert len(seen["asked"]) == 2
    assert (seen["declined"]["isError"], seen["agreed"].get("isError", False)) == (True, False)
    assert seen["agreed"]["structuredContent"]["status"] == "running"
