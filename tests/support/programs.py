"""Stand-in programs for command routes: small scripts that print what the documented ones print, or misbehave."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio

READ = "import json, os, sys\ngiven = sys.stdin.buffer.read().decode()\n"


def program(folder: Path, name: str, body: str) -> Path:
    """Write a program with this body and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable} -I\n{body}\n", "utf-8")
    path.chmod(0o755)
    return path


def printing(output: str, code: int = 0, errors: str = "") -> str:
    """Return a body that reads its input, prints, and ends with a code."""
    return f"{READ}sys.stdout.write({output!r})\nsys.stderr.write({errors!r})\nsys.exit({code})"


def claude(result: str | None, **fields: Any) -> str:
    """Return what `claude -p --output-format json` prints."""
    return json.dumps(
        {
            "type": "result",
            "subtype": "success",
            "is_error": False,
            "duration_ms": 2100,
            "duration_api_ms": 1900,
            "num_turns": 1,
            "result": result,
            "stop_reason": "end_turn",
            "session_id": "4f0c",
            "total_cost_usd": 0.0123,
            "usage": {
                "input_tokens": 10,
                "cache_creation_input_tokens": 200,
                "cache_read_input_tokens": 3000,
                "output_tokens": 7,
            },
            **fields,
        }
    )


def codex(*events: dict[str, Any]) -> str:
    """Return what `codex exec --json` prints."""
    first = {"type": "thread.started", "thread_id": "0199"}, {"type": "turn.started"}
    return "".join(json.dumps(each) + "\n" for each in (*first, *events))


def item(kind: str, text: str) -> dict[str, Any]:
    return {"type": "item.completed", "item": {"id": "item_0", "type": kind, "text": text}}


CODEX_USAGE = {
    "type": "turn.completed",
    "usage": {"input_tokens": 100, "cached_input_tokens": 80, "output_tokens": 9, "reasoning_output_tokens": 4},
}


def gemini(**fields: Any) -> str:
    """Return what `gemini --output-format json` prints."""
    return json.dumps({"session_id": "0b1d", **fields}, indent=2)


GEMINI_STATS = {
    "models": {
        name: {
            "api": {"totalRequests": 1, "totalErrors": 0, "totalLatencyMs": 900},
            "tokens": {"input": 4, "prompt": 50, "candidates": 5, "total": 60, "cached": 20, "thoughts": 5, "tool": 0},
        }
        for name in ("gemini-2.5-pro", "gemini-2.5-flash")
    },
    "tools": {"totalCalls": 0},
}


async def written(path: Path) -> str:
    """Return the text of a file that a program writes, as soon as a whole line is there."""
    file = anyio.Path(path)
    with anyio.fail_after(20):
        while not (await file.exists() and (await file.read_text("utf-8")).endswith("\n")):  # noqa: ASYNC110  no event tells it
            await anyio.sleep(0.01)
    return (await file.read_text("utf-8")).strip()


def runs(pid: int) -> bool:
    """Whether a process runs. One that ended counts as ended even if its parent has not asked for its exit code."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text("utf-8").rpartition(")")[2].split()[0] not in {"Z", "X"}
