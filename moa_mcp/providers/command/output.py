"""Reads what a program printed, in the documented form of each preset, as text, or by the paths of its route. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from moa_mcp.providers.replies.billing import count, dollars
from moa_mcp.providers.replies.json_values import Json, as_list, as_object
from moa_mcp.values import Program

_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
"""Control sequences for terminals: colors, titles, links."""


class Output(NamedTuple):
    """What a program reported."""

    text: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, Any] = {}
    """In the form of OpenAI's API."""
    cost_usd: Decimal | None = None
    reasoning: str = ""
    failure: str | None = None
    """The error that it reported; None if it reported none."""
    status: int | None = None
    """The HTTP status of that error, if it reported one."""


def read(program: Program, printed: str) -> Output | None:
    """Return what a program reported; None if it is not in the expected form."""
    if program.output:
        return _by_paths(dict(program.output), printed)
    return _PRESETS.get(program.preset, _plain)(printed)


def plain(text: str) -> str:
    """Return a text without control sequences for terminals."""
    return _CONTROL.sub("", text)


def _plain(printed: str) -> Output:
    return Output(plain(printed).strip())


def _objects(printed: str) -> Iterator[Json]:
    """Yield the JSON objects in an output: one, a list of them, or one per line among other lines."""
    try:
        whole = json.loads(printed)
    except (ValueError, RecursionError):
        for line in printed.splitlines():
            if line.lstrip().startswith("{"):
                try:
                    yield as_object(json.loads(line))
                except (ValueError, RecursionError):
                    continue
    else:
        yield from map(as_object, as_list(whole) or [whole])


def _cost(value: object) -> Decimal | None:
    """Return a cost in US dollars; None if it is unknown, which programs may write as zero."""
    return dollars(value) or None


def _claude(printed: str) -> Output | None:
    """Read the result of `claude -p --output-format json`.

    Fields: `ResultMessage` in anthropics/claude-agent-sdk-python, `types.py`. `total_cost_usd` is an estimate at the
    prices of the API. The result is an error's message if `is_error` is true.
    """
    result = next((each for each in reversed([*_objects(printed)]) if each.get("type") == "result"), None)
    if result is None:
        return None
    text, errors = str(result.get("result") or ""), [str(each) for each in as_list(result.get("errors"))]
    usage, cost = as_object(result.get("usage")), _cost(result.get("total_cost_usd"))
    if result.get("is_error") or str(result.get("subtype", "success")) != "success":
        why = text or "; ".join(errors) or str(result.get("subtype", "error"))
        return Output(usage=usage, cost_usd=cost, failure=why, status=count(result, "api_error_status"))
    return Output(text, result.get("stop_reason"), usage, cost)


def _codex(printed: str) -> Output | None:
    """Read the events of `codex exec --json`: openai/codex, `codex-rs/exec/src/exec_events.rs`.

    The last message is the answer. An event `error` may be a notice that it tries again, unless the turn fails.
    """
    events = [*_objects(printed)]
    items = [as_object(each.get("item")) for each in events if each.get("type") == "item.completed"]
    messages = [str(item.get("text", "")) for item in items if item.get("type") == "agent_message"]
    thought = [str(item.get("text", "")) for item in items if item.get("type") == "reasoning"]
    turn = next((each for each in events if each.get("type") == "turn.completed"), None)
    if turn is not None:
        usage = _codex_usage(as_object(turn.get("usage")))
        return Output(messages[-1] if messages else "", usage=usage, reasoning="\n\n".join(thought))
    failed = [as_object(each.get("error")) for each in events if each.get("type") == "turn.failed"]
    failed += [each for each in events if each.get("type") == "error"]
    return Output(failure=str(failed[0].get("message", "error"))) if failed else None


def _codex_usage(usage: Json) -> Mapping[str, Any]:
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "prompt_tokens_details": {"cached_tokens": usage.get("cached_input_tokens")},
        "completion_tokens_details": {"reasoning_tokens": usage.get("reasoning_output_tokens")},
    }


def _gemini(printed: str) -> Output | None:
    """Read the output of `gemini --output-format json`.

    google-gemini/gemini-cli, `packages/core/src/output/types.ts` (`JsonOutput`) and `telemetry/uiTelemetry.ts`
    (`SessionMetrics`): tokens per model, thoughts not included in candidates.
    """
    known = {"response", "error", "stats"}
    output = next((each for each in _objects(printed) if each.keys() & known), None)
    if output is None:
        return None
    error = as_object(output.get("error"))
    if error:
        code = error.get("code")
        status = code if isinstance(code, int) and code in range(400, 600) else None
        return Output(failure=str(error.get("message") or error.get("type") or "error"), status=status)
    models = as_object(as_object(output.get("stats")).get("models"))
    tokens = [as_object(as_object(model).get("tokens")) for model in models.values()]
    return Output(str(output.get("response") or ""), usage=_gemini_usage(tokens))


def _gemini_usage(tokens: list[Json]) -> Mapping[str, Any]:
    if not tokens:
        return {}
    prompt, answer, thoughts, cached = (
        sum(count(each, name) or 0 for each in tokens) for name in ("prompt", "candidates", "thoughts", "cached")
    )
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer + thoughts,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }


def _by_paths(paths: Mapping[str, str], printed: str) -> Output | None:
    """Read JSON by the paths of a route; the last object that has the answer counts."""
    for output in reversed([*_objects(printed)]):
        text = _at(output, paths["text"])
        if isinstance(text, str):
            found = {name: _at(output, path) for name, path in paths.items()}
            return Output(text, usage=found, cost_usd=_cost(found.get("cost_usd")))
    return None


def _at(value: object, path: str) -> object:
    """Return the value at a path of keys and positions; None if there is none."""
    for part in path.split("."):
        if isinstance(value, list):
            held = as_list(value)  # pyright: ignore[reportUnknownArgumentType]
            value = held[int(part)] if part.isdecimal() and int(part) < len(held) else None
        else:
            value = as_object(value).get(part)
    return value


_PRESETS: Mapping[str, Callable[[str], Output | None]] = {"claude": _claude, "codex": _codex, "gemini": _gemini}
