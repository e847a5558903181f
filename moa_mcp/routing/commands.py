"""Command routes: the programs that answer calls, such as the clients of subscriptions, and where they are installed.

How they are called is in `providers.command`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, NamedTuple, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from moa_mcp.text.redact import redact
from moa_mcp.text.suggest import closest

PROVIDER = "command"
_PREFIX = f"{PROVIDER}/"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODEL_OPTIONS = ("--model", "-m")


class Preset(NamedTuple):
    """A program that moa-mcp knows how to call."""

    install: str
    """The command that installs it."""
    login: str
    """The command that logs the user in."""
    env: tuple[str, ...]
    """The environment variables that it documents for its login, but not API keys."""


PRESETS: Mapping[str, Preset] = {
    "claude": Preset(
        "npm install -g @anthropic-ai/claude-code",
        "claude auth login",
        ("CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN"),
    ),
    "codex": Preset("npm install -g @openai/codex", "codex login", ("CODEX_HOME", "CODEX_ACCESS_TOKEN")),
    "gemini": Preset(
        "npm install -g @google/gemini-cli",
        "gemini",
        (
            "GEMINI_CLI_HOME",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_CLOUD_PROJECT_ID",
            "GOOGLE_CLOUD_LOCATION",
            "GOOGLE_GENAI_USE_GCA",
        ),
    ),
}
"""By the name of the program. API keys are not passed, since a program would use them instead of the subscription."""

JsonPath = Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$")]


class JsonOutput(BaseModel):
    """Where the JSON output of a program has its answer, the tokens and the cost.

    Each is a path of keys and of positions in lists, counted from 0, such as ``choices.0.message.content``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    text: JsonPath = Field(alias="json")
    """The answer."""
    prompt_tokens: JsonPath | None = None
    """Tokens of the prompt."""
    completion_tokens: JsonPath | None = None
    """Tokens of the answer, reasoning included."""
    cost_usd: JsonPath | None = None
    """US dollars; 0 counts as unknown."""

    @property
    def paths(self) -> tuple[tuple[str, str], ...]:
        """The paths that are set, by name."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return tuple((name, path) for name, path in named.items() if path is not None)


def _listed(value: object) -> object:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def _words(value: object) -> object:
    return (value,) if isinstance(value, str) else _listed(value)


Words = Annotated[tuple[str, ...], BeforeValidator(_words), Field(min_length=1)]
"""A program and its arguments, written as a list, or as a string if it has no arguments."""
Variables = Annotated[tuple[str, ...], BeforeValidator(_listed)]


def preset(words: Sequence[str]) -> str:
    """Return the name of a program's preset; empty if it has none."""
    name = PurePath(words[0]).stem
    return name if name in PRESETS else ""


def model_name(words: Sequence[str]) -> str:
    """Return the name under which a program is called: ``command/claude``, with the model that its arguments name."""
    name = f"{_PREFIX}{PurePath(words[0]).name}"
    for at, word in enumerate(words[1:], 1):
        option, _, value = word.partition("=")
        if option in _MODEL_OPTIONS and (model := value or "".join(words[at + 1 : at + 2])):
            return f"{name}/{model}"
    return name


def named(values: object) -> object:
    """Return the keys of a route with its model, which follows from its command. Raises `ValueError`."""
    if not isinstance(values, dict):
        return values
    keys = cast("dict[str, Any]", values)
    command, model = keys.get("command"), keys.get("model")
    if command is None:
        return {**keys, "command": _preset_of(model)} if model and str(model).startswith(_PREFIX) else keys
    words = _words(command)
    if not isinstance(words, tuple) or not all(isinstance(word, str) for word in cast("tuple[object, ...]", words)):
        return {**keys, "model": _PREFIX}  # the field `command` says what is wrong
    written = cast("tuple[str, ...]", words)
    name = model_name(written) if written else _PREFIX
    if model not in {None, name}:
        raise ValueError("has both model and command; remove one of them")
    return {**keys, "model": name}


def _preset_of(model: str) -> str:
    name = model.removeprefix(_PREFIX)
    if name in PRESETS:
        return name
    near = closest(name, PRESETS)
    hint = f", did you mean {_PREFIX}{near}? Write" if near else "; write"
    raise ValueError(f'{model!r} is not a preset{hint} another program as {{ command = ["my-model"] }}')


def checked(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a command. Raises `ValueError` if they name no program, or contain a key."""
    program = words[0]
    if not program.strip():
        raise ValueError("the first entry should be a program, such as claude")
    if len(words) == 1 and re.search(r"\s", program) and not re.search(r"[/\\]", program):
        parts = ", ".join(f'"{part}"' for part in program.split())
        raise ValueError(f"{redact(program, {})!r} should be a list of the program and its arguments, [{parts}]")
    if any("\0" in word for word in words):
        raise ValueError("should not contain a null character")
    if any(redact(word, {}) != word for word in words):
        raise ValueError("should not contain a key; set env to the variable that holds it")
    return words


def checked_variables(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of environment variables. Raises `ValueError` if one is a value."""
    for name in names:
        if not _VARIABLE.fullmatch(name) or redact(name, {}) != name:
            raise ValueError("should name environment variables, such as MY_MODEL_TOKEN, not their values")
    return names


def found(program: str, environ: Mapping[str, str]) -> str | None:
    """Return the absolute path of a program, looked up in the user's PATH; None if it is not installed."""
    home = environ.get("HOME")
    program = f"{home}{program[1:]}" if home and program.startswith("~/") else program
    path = shutil.which(program, path=environ.get("PATH", os.defpath))
    return None if path is None else os.path.abspath(path)  # noqa: PTH100  a link must keep its name


def missing(words: Sequence[str]) -> str:
    """Return what would make a program usable that was not found."""
    program, known = words[0], PRESETS.get(preset(words))
    where = "" if re.search(r"[/\\]", program) else " in PATH"
    if known is None:
        return f"{program} (not found{where}; write its full path if it is installed elsewhere)"
    return f"{program} (not found{where}): run {known.install}, then log in with {known.login}"
