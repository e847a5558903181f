"""How each program is called: its arguments, its input, its files and its settings. Pure.

The presets allow no tools, edits or stored sessions as far as the program has an option for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from moa_mcp.values import Message, Program

_NEUTRAL = "Answer the message."
"""The system prompt where a program would otherwise use its own, which describes a programming agent."""
_DENY_ALL = '[[rule]]\ntoolName = "*"\ndecision = "deny"\npriority = 999\n'


class Invocation(NamedTuple):
    """One call of a program."""

    words: tuple[str, ...]
    """Program and arguments."""
    given: str
    """Its standard input."""
    files: Mapping[Path, str] = {}
    """Files to write before it starts."""
    environ: Mapping[str, str] = {}
    """Variables to set."""


def invocation(program: Program, messages: Sequence[Message], folder: Path) -> Invocation:
    """Return how to ask a program. `folder` is for files that only this call uses."""
    system = "\n\n".join(each.content for each in messages if each.role == "system")
    return _PRESETS.get(program.preset, _other)(program.words, system, _turns(messages), folder)


def _turns(messages: Sequence[Message]) -> str:
    """Return the conversation as one text, with the roles named if there is more than one turn."""
    turns = [each for each in messages if each.role != "system"]
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"{each.role.capitalize()}: {each.content}" for each in turns)


def _joined(system: str, turns: str) -> str:
    return f"{system}\n\n{turns}" if system else turns


def _other(words: tuple[str, ...], system: str, turns: str, folder: Path) -> Invocation:
    del folder
    return Invocation(words, _joined(system, turns))


def _claude(words: tuple[str, ...], system: str, turns: str, folder: Path) -> Invocation:
    """Return how to ask Claude Code.

    Options: https://code.claude.com/docs/en/cli-reference. The forms of `--tools` and `--setting-sources` that turn
    all off are those of anthropics/claude-agent-sdk-python, `_internal/transport/subprocess_cli.py`. The system prompt
    is in a file, since arguments are limited in length and visible to other users.
    """
    program, *more = words
    path = folder / "system.md"
    arguments = (
        *("-p", "--output-format", "json", "--max-turns", "1", "--no-session-persistence"),
        *("--tools", "", "--strict-mcp-config", "--disable-slash-commands", "--setting-sources="),
        *(("--system-prompt-file", str(path)) if system else ("--system-prompt", _NEUTRAL)),
    )
    return Invocation((program, *arguments, *more), turns, {path: system} if system else {})


def _codex(words: tuple[str, ...], system: str, turns: str, folder: Path) -> Invocation:
    """Return how to ask Codex.

    Options: openai/codex, `codex-rs/exec/src/cli.rs` and `docs/exec.md`; settings:
    https://developers.openai.com/codex/config-reference. It takes no system prompt, so that is in front of the prompt.
    """
    del folder
    program, *more = words
    arguments = (
        *("exec", "--json", "--sandbox", "read-only", "--skip-git-repo-check", "--color", "never"),
        *("--ephemeral", "--ignore-user-config", "--ignore-rules"),
        *("-c", "features.shell_tool=false", "-c", "features.unified_exec=false"),
        *("-c", 'web_search="disabled"', "-c", "project_doc_max_bytes=0"),
    )
    return Invocation((program, *arguments, *more, "-"), _joined(system, turns))


def _gemini(words: tuple[str, ...], system: str, turns: str, folder: Path) -> Invocation:
    """Return how to ask Gemini CLI.

    google-gemini/gemini-cli: options in `docs/cli/cli-reference.md` and `packages/cli/src/config/config.ts`, the policy
    that denies all tools in `docs/reference/policy-engine.md`, the system prompt in `docs/cli/system-prompt.md`, the
    trust of the empty folder in `docs/cli/trusted-folders.md`. It has no option against the storage of sessions.
    """
    program, *more = words
    path, policy = folder / "system.md", folder / "policy.toml"
    arguments = (
        *("--output-format", "json", "--approval-mode", "default", "--policy", str(policy)),
        *("--extensions", "none", "--allowed-mcp-server-names", "none"),
    )
    given = f"The message:\n\n{turns}" if turns.startswith("/") else turns  # otherwise it would be a command
    environ = {"GEMINI_SYSTEM_MD": str(path), "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    return Invocation((program, *arguments, *more), given, {path: system or _NEUTRAL, policy: _DENY_ALL}, environ)


_PRESETS: Mapping[str, Callable[[tuple[str, ...], str, str, Path], Invocation]] = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
}
