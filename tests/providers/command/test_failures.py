"""Programs fail: what is reported, and that no process is left. The processes are real."""

from __future__ import annotations

import os
import signal
import sys
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from moa_mcp import errors
from moa_mcp.errors import ModelNotFound, RateLimited, TimedOut, UnexpectedFault
from moa_mcp.middleware import Limits, Shared
from moa_mcp.providers.backend import real
from moa_mcp.providers.command import process
from moa_mcp.routing.routes import Route
from tests.providers.command.test_answers import ask
from tests.support import programs
from tests.support.layers import Layers, call_of
from tests.support.programs import READ, printing, program, runs, written

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts with a first line for POSIX"),
]

FAILED = {"type": "turn.failed", "error": {"message": "You've hit your usage limit. Try again at 3:28 PM."}}
RETRIED = {"type": "error", "message": "Reconnecting... 1/5"}

REPORTED = [
    ("claude", programs.claude("Not logged in · Please run /login", is_error=True), "AuthFailed", "claude auth login"),
    ("claude", programs.claude("Invalid API key", is_error=True, api_error_status=401), "AuthFailed", "claude auth"),
    ("claude", programs.claude("You've hit your limit · resets 10pm", is_error=True), "QuotaExceeded", "resets 10pm"),
    ("claude", programs.claude("Claude AI usage limit reached|1762952400", is_error=True), "QuotaExceeded", "reached"),
    ("claude", programs.claude("API Error", is_error=True, api_error_status=429), "RateLimited", "API Error"),
    ("claude", programs.claude("Overloaded", is_error=True, api_error_status=529), "ServerFailed", "Overloaded"),
    ("claude", programs.claude(None, is_error=True, subtype="error_max_turns"), "UnexpectedFault", "error_max_turns"),
    ("claude", programs.claude(None, subtype="error_x", errors=["a", "b"]), "UnexpectedFault", "a; b"),
    ("claude", programs.claude("Prompt is too long", is_error=True), "ContextTooLong", "too long"),
    ("codex", programs.codex(RETRIED, FAILED), "QuotaExceeded", "3:28 PM"),
    ("codex", programs.codex({"type": "error", "message": "401 Unauthorized"}), "AuthFailed", "codex login"),
    ("codex", programs.codex({"type": "error", "message": "Rate limit reached"}), "RateLimited", "reached"),
    (
        "gemini",
        programs.gemini(error={"type": "Error", "message": "Please set an Auth method in settings.json", "code": 41}),
        "AuthFailed",
        "run gemini in a terminal",
    ),
    (
        "gemini",
        programs.gemini(error={"type": "TerminalQuotaError", "message": "You have exhausted your daily quota."}),
        "QuotaExceeded",
        "daily quota",
    ),
    (
        "gemini",
        programs.gemini(error={"type": "ApiError", "message": "Not found", "code": 404}),
        "ModelNotFound",
        "Not",
    ),
    ("gemini", programs.gemini(error={"type": "FatalError"}), "UnexpectedFault", "FatalError"),
]


@pytest.mark.parametrize(("name", "printed", "kind", "part"), REPORTED)
async def test_what_a_program_reports_is_the_error_that_it_means(
    tmp_path: Path, name: str, printed: str, kind: str, part: str
) -> None:
    program(tmp_path, name, printing(printed, code=1))
    with pytest.raises(getattr(errors, kind)) as caught:
        await ask(tmp_path, {"command": name})
    assert caught.value.kind == kind
    assert str(caught.value).startswith(f"command/{name}: ")
    assert part in str(caught.value)
    assert ("log in" in str(caught.value)) == (kind == "AuthFailed")


async def test_a_short_pause_that_the_program_asks_for_is_awaited(tmp_path: Path) -> None:
    said = "You have exhausted your capacity on this model. Your quota will reset after 5s."
    program(tmp_path, "gemini", printing(programs.gemini(error={"type": "Error", "message": said}), code=1))
    with pytest.raises(RateLimited) as caught:
        await ask(tmp_path, {"command": "gemini"})
    assert (caught.value.retry_after_s, caught.value.retryable) == (5, True)


async def test_the_cost_of_a_reported_failure_counts(tmp_path: Path) -> None:
    program(tmp_path, "claude", printing(programs.claude(None, is_error=True, subtype="error_max_turns")))
    with pytest.raises(UnexpectedFault) as caught:
        await ask(tmp_path, {"command": "claude"})
    assert caught.value.paid
    assert caught.value.cost_usd == Decimal("0.0123")


DIED = [
    ("sys.exit(3)", "command/my-model ended with exit code 3"),
    ("sys.stderr.write('boom\\n'); sys.exit(3)", "command/my-model ended with exit code 3: boom"),
    ("print('Error: boom'); sys.exit(1)", "command/my-model ended with exit code 1: Error: boom"),
    ("os.kill(os.getpid(), 9)", "command/my-model was ended by SIGKILL"),
    (
        "sys.stderr.write('\\x1b[31ma\\x07b\\r\\nsk-a0123456789abcdef\\u202e'); sys.exit(1)",
        "command/my-model ended with exit code 1: a\\x07b [key]\\u202e",
    ),
]


@pytest.mark.parametrize(("body", "message"), DIED)
async def test_a_program_that_dies_says_how_with_its_errors_masked_and_visible(
    tmp_path: Path, body: str, message: str
) -> None:
    program(tmp_path, "my-model", READ + body)
    with pytest.raises(UnexpectedFault) as caught:
        await ask(tmp_path, {"command": "my-model"})
    assert str(caught.value) == message
    assert (caught.value.retryable, caught.value.elsewhere, caught.value.paid) == (False, True, None)


async def test_a_key_in_the_environment_is_masked_in_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "quartz lantern meadow")
    program(tmp_path, "my-model", f"{READ}sys.stderr.write('bad: ' + os.environ['MY_TOKEN']); sys.exit(1)")
    route = {"command": "my-model", "env": ["MY_TOKEN"]}
    with pytest.raises(UnexpectedFault) as caught:
        await ask(tmp_path, route, environ={"MY_TOKEN": "quartz lantern meadow"})
    assert str(caught.value) == "command/my-model ended with exit code 1: bad: [key]"


async def test_of_a_flood_of_errors_the_end_is_shown(tmp_path: Path) -> None:
    program(tmp_path, "my-model", f"{READ}sys.stderr.write('x' * 2**22 + ' the end'); sys.exit(1)")
    with pytest.raises(UnexpectedFault) as caught:
        await ask(tmp_path, {"command": "my-model"})
    assert str(caught.value).endswith("x the end")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "my-model"])
@pytest.mark.parametrize("printed", ['{"type": "result", "resu', "", "[1, 2]", "\x00", "[" * 20_000])
async def test_an_output_in_another_form_is_not_an_answer(tmp_path: Path, name: str, printed: str) -> None:
    program(tmp_path, name, printing(printed))
    route = {"command": name} if name != "my-model" else {"command": name, "output": {"json": "a.b"}}
    with pytest.raises(UnexpectedFault) as caught:
        await ask(tmp_path, route)
    assert str(caught.value).startswith(f"command/{name} printed no answer in the expected form")


async def test_a_flood_of_output_ends_the_program(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    flood = f"open({str(pid)!r}, 'w').write(f'{{os.getpid()}}\\n')\nwhile True: sys.stdout.write('x' * 2**16)"
    program(tmp_path, "my-model", READ + flood)
    with anyio.fail_after(20), pytest.raises(UnexpectedFault) as caught:
        await ask(tmp_path, {"command": "my-model"})
    assert str(caught.value) == "command/my-model printed more than 8 MiB"
    assert not runs(int(await written(pid)))


async def test_a_program_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    (tmp_path / "my-model").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "my-model").chmod(0o755)
    with pytest.raises(ModelNotFound) as caught:
        await ask(tmp_path, {"command": "my-model"})
    assert str(caught.value) == f"command/my-model: can't start {tmp_path}/my-model: Exec format error"


def parent(folder: Path, *, stubborn: bool = False, ends: bool = False, printed: str = "") -> None:
    """Write a program that starts a child, which holds its outputs open, and that hangs or ends."""
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if stubborn else ""
    ready = f"open({str(folder)!r} + '/%s', 'w').write(f'{{os.getpid()}}\\n')\n"
    hang = "import time\nwhile True: time.sleep(100)\n"
    child = program(folder, "child", f"import os\n{ignore}{ready % 'child.pid'}{hang}")
    wait = f"import time\nwhile not os.path.exists({str(folder / 'child.pid')!r}): time.sleep(0.01)\n"
    start = f"import subprocess; subprocess.Popen([{str(child)!r}])\n{wait}"
    end = f"print({printed!r}, flush=True)\n" if ends else hang
    program(folder, "my-model", f"{READ}{ignore}{start}{ready % 'parent.pid'}{end}")


async def pids(folder: Path) -> list[int]:
    return [int(await written(folder / name)) for name in ("parent.pid", "child.pid")]


@pytest.mark.parametrize("stubborn", [False, True])
async def test_cancellation_ends_the_program_and_its_children(
    tmp_path: Path, stubborn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_GRACE_S", 0.2)
    parent(tmp_path, stubborn=stubborn)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, tmp_path, {"command": "my-model"})
        started = await pids(tmp_path)
        assert all(map(runs, started))
        tasks.cancel_scope.cancel()
    assert not any(map(runs, started))


async def test_children_that_outlive_a_program_are_ended_and_its_answer_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_GRACE_S", 0.2)
    monkeypatch.setattr(process, "_DRAIN_S", 0.2)
    parent(tmp_path, stubborn=True, ends=True, printed="So.")
    with anyio.fail_after(20):
        completion = await ask(tmp_path, {"command": "my-model"})
    assert completion.text == "So."
    assert not any(map(runs, await pids(tmp_path)))


async def test_an_attempt_ends_at_its_timeout_with_the_program(tmp_path: Path) -> None:
    parent(tmp_path)
    routes = {"m": (Route.model_validate({"command": "my-model"}),)}
    backend, _ = real(routes, {"PATH": str(tmp_path)})
    layers = Layers(backend.provider, backend.usable(routes), Shared(Limits(attempts=1)))
    with pytest.raises(TimedOut, match="command/my-model did not answer within 3 s"):
        await layers.ask(call_of("m", timeout_s=3))
    assert not any(map(runs, await pids(tmp_path)))


async def test_no_more_programs_run_at_once_than_the_setting_allows(tmp_path: Path) -> None:
    body = f"""{READ}import time
os.chdir({str(tmp_path)!r})
mine = f"at-{{os.getpid()}}"
open(mine, "w").close()
while not os.path.exists("two"):
    if len([name for name in os.listdir() if name.startswith("at-")]) > 1: open("two", "w").close()
    time.sleep(0.01)
print(len([name for name in os.listdir() if name.startswith("at-")]))
os.remove(mine)
"""
    program(tmp_path, "my-model", body)
    program(tmp_path, "other", body)
    routes = {name: (Route.model_validate({"command": name}),) for name in ("my-model", "other")}
    backend, _ = real(routes, {"PATH": str(tmp_path)})
    layers = Layers(backend.provider, backend.usable(routes), Shared(Limits(command_concurrency=2)))
    calls = [call_of(("my-model", "other")[number % 2], number) for number in range(1, 7)]
    with anyio.fail_after(30):
        completions = await anyio.amap(layers.ask, calls)
    assert {each.text for each in completions} <= {"1", "2"}


async def test_another_route_answers_when_a_program_fails(tmp_path: Path) -> None:
    program(tmp_path, "claude", printing(programs.claude("You've hit your limit", is_error=True), code=1))
    program(tmp_path, "my-model", printing("So."))
    routes = {"m": tuple(Route.model_validate({"command": name}) for name in ("claude", "my-model"))}
    backend, _ = real(routes, {"PATH": str(tmp_path)})
    layers = Layers(backend.provider, backend.usable(routes), Shared(Limits(attempts=3)))
    completion = await layers.ask(call_of("m"))
    assert completion.text == "So."
    assert completion.notes[0] == (
        "command/claude failed, so the next route was used: command/claude: You've hit your limit"
    )


async def test_an_interrupt_of_the_terminal_does_not_reach_the_program(tmp_path: Path) -> None:
    body = f"{READ}print(os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid())"
    program(tmp_path, "my-model", body)
    assert (await ask(tmp_path, {"command": "my-model"})).text == "True True"


async def test_a_process_that_left_the_group_does_not_hold_up_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_DRAIN_S", 0.2)
    pid = tmp_path / "pid"
    away = f"os.setsid(); open({str(pid)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(100)"
    wait = f"while not os.path.exists({str(pid)!r}): time.sleep(0.01)"
    program(tmp_path, "my-model", f"{READ}import time\nprint('So.', flush=True)\nif not os.fork(): {away}\n{wait}")
    with anyio.fail_after(20):
        completion = await ask(tmp_path, {"command": "my-model"})
    os.kill(int(await written(pid)), signal.SIGKILL)
    assert completion.text == "So."
