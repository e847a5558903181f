"""Programs answer calls: real processes that print the documented forms, through the routes of a configuration."""

from __future__ import annotations

import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from moa_mcp.errors import AnswerEmpty, MissingKey
from moa_mcp.providers.backend import real
from moa_mcp.routing.routes import Route
from moa_mcp.values import Call, Completion, Message, Place, Usage
from tests.support import programs
from tests.support.programs import CODEX_USAGE, GEMINI_STATS, READ, item, printing, program

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts with a first line for POSIX"),
]

SYSTEM, USER = "Be brief.\n\nAnswer 1: $(id) `id` ünïcode", "Why; rm -rf / && echo $HOME 'x'?"
MESSAGES = (Message("system", SYSTEM), Message("user", USER))


async def ask(folder: Path, route: dict[str, Any], messages: tuple[Message, ...] = MESSAGES, **call: Any) -> Completion:
    """Ask the only route of an alias, with the programs of a folder as the user's PATH."""
    environ = {"PATH": str(folder), "HOME": str(folder), **call.pop("environ", {})}
    backend, _ = real({"m": (Route.model_validate(route),)}, environ)
    (target,) = await backend.usable({"m": (Route.model_validate(route),)})("m")
    asked = Call("r", Place(1, 1), "m", messages, call.pop("parameters", {}), 1, target=target, **call)
    return await backend.provider(asked)


def seen(completion: Completion) -> dict[str, Any]:
    """Return what a program said that it got."""
    found: dict[str, Any] = json.loads(completion.text)
    return found


def reporting(wrapped: str) -> str:
    """Return a body that reports what it got as the answer, in the form that a format string `wrapped` makes of it."""
    return f"""{READ}
files = {{word: open(word).read() for word in [*sys.argv[1:], *os.environ.values()] if os.path.isfile(word)}}
got = dict(words=sys.argv[1:], given=given, environ=dict(os.environ), here=os.getcwd(), held=os.listdir(), files=files)
text = json.dumps(got)
print({wrapped})
"""


CLAUDE = 'json.dumps({"type": "result", "subtype": "success", "is_error": False, "result": text})'
CODEX = """json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": text}}) + os.linesep
    + json.dumps({"type": "turn.completed", "usage": {}})"""
GEMINI = 'json.dumps({"response": text, "stats": {}})'


async def test_claude_answers_without_tools_and_gets_the_system_prompt_as_a_file(tmp_path: Path) -> None:
    program(tmp_path, "claude", reporting(CLAUDE))
    got = seen(await ask(tmp_path, {"command": ["claude", "--model", "opus"]}))
    at = got["words"].index("--system-prompt-file")
    path = got["words"].pop(at + 1)
    assert got["words"] == [
        *("-p", "--output-format", "json", "--max-turns", "1", "--no-session-persistence"),
        *("--tools", "", "--strict-mcp-config", "--disable-slash-commands", "--setting-sources="),
        *("--system-prompt-file", "--model", "opus"),
    ]
    assert (got["given"], got["files"]) == (USER, {path: SYSTEM})


async def test_codex_answers_in_a_read_only_sandbox_and_gets_the_system_prompt_before_the_prompt(
    tmp_path: Path,
) -> None:
    program(tmp_path, "codex", reporting(CODEX))
    got = seen(await ask(tmp_path, {"command": ["codex", "-m", "gpt-5"]}))
    assert got["words"] == [
        *("exec", "--json", "--sandbox", "read-only", "--skip-git-repo-check", "--color", "never"),
        *("--ephemeral", "--ignore-user-config", "--ignore-rules", "-c", "features.shell_tool=false"),
        *(
            "-c",
            "features.unified_exec=false",
            "-c",
            'web_search="disabled"',
            "-c",
            "project_doc_max_bytes=0",
            "-m",
            "gpt-5",
            "-",
        ),
    ]
    assert (got["given"], got["files"]) == (f"{SYSTEM}\n\n{USER}", {})


async def test_gemini_answers_with_all_tools_denied_and_gets_the_system_prompt_as_a_file(tmp_path: Path) -> None:
    program(tmp_path, "gemini", reporting(GEMINI))
    got = seen(await ask(tmp_path, {"command": "gemini"}))
    policy = got["words"].pop(got["words"].index("--policy") + 1)
    assert got["words"] == [
        *("--output-format", "json", "--approval-mode", "default", "--policy"),
        *("--extensions", "none", "--allowed-mcp-server-names", "none"),
    ]
    denied = '[[rule]]\ntoolName = "*"\ndecision = "deny"\npriority = 999\n'
    assert got["files"] == {policy: denied, got["environ"]["GEMINI_SYSTEM_MD"]: SYSTEM}
    assert (got["given"], got["environ"]["GEMINI_CLI_TRUST_WORKSPACE"]) == (USER, "true")


async def test_a_prompt_that_looks_like_a_command_of_gemini_is_not_one(tmp_path: Path) -> None:
    program(tmp_path, "gemini", reporting(GEMINI))
    got = seen(await ask(tmp_path, {"command": "gemini"}, (Message("user", "/quit"),)))
    assert got["given"] == "The message:\n\n/quit"
    assert got["files"][got["environ"]["GEMINI_SYSTEM_MD"]] == "Answer the message."


async def test_claude_without_a_system_prompt_does_not_get_that_of_a_programming_agent(tmp_path: Path) -> None:
    program(tmp_path, "claude", reporting(CLAUDE))
    got = seen(await ask(tmp_path, {"command": "claude"}, (Message("user", "Hi"),)))
    assert got["words"][-2:] == ["--system-prompt", "Answer the message."]


async def test_a_conversation_of_several_turns_names_the_roles(tmp_path: Path) -> None:
    program(tmp_path, "echo-it", f"{READ}print(given)")
    turns = Message("user", "One?"), Message("assistant", "1"), Message("user", "Two?")
    completion = await ask(tmp_path, {"command": "echo-it"}, (Message("system", "S"), *turns))
    assert completion.text == "S\n\nUser: One?\n\nAssistant: 1\n\nUser: Two?"


ANSWERS = {
    "claude": (programs.claude("So."), Usage(3210, 7, 3000, 0, 200), Decimal("0.0123"), ""),
    "codex": (
        "warning: not JSON\n" + programs.codex(item("reasoning", "Hm."), item("agent_message", "So."), CODEX_USAGE),
        Usage(100, 9, 80, 4),
        None,
        "Hm.",
    ),
    "gemini": (programs.gemini(response="So.", stats=GEMINI_STATS), Usage(100, 20, 40, 10), None, ""),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_the_answer_is_read_with_the_tokens_and_the_cost_that_the_program_reports(
    tmp_path: Path, name: str
) -> None:
    printed, usage, cost, reasoning = ANSWERS[name]
    program(tmp_path, name, printing(printed, errors="Loaded cached credentials.\n"))
    heard: list[str] = []
    completion = await ask(tmp_path, {"command": name}, on_text=heard.append)
    assert completion == Completion("So.", f"command/{name}", "stop", usage, cost, reasoning=reasoning)
    assert "".join(heard) == "So."


async def test_an_unknown_cost_is_not_zero(tmp_path: Path) -> None:
    program(tmp_path, "claude", printing(programs.claude("So.", total_cost_usd=0, usage={})))
    completion = await ask(tmp_path, {"command": "claude"})
    assert (completion.cost_usd, completion.usage) == (None, None)


async def test_an_answer_at_the_token_limit_is_marked_as_cut(tmp_path: Path) -> None:
    messages = f"[{json.dumps({'type': 'system'})}, {programs.claude('So', stop_reason='max_tokens')}]"
    program(tmp_path, "claude", printing(messages))
    assert (await ask(tmp_path, {"command": "claude"})).cut


async def test_any_program_answers_in_plain_text_without_colors(tmp_path: Path) -> None:
    program(tmp_path, "my-model", printing("\x1b[1m<think>Hm.</think>\x1b[0mSo.\n\x1b]0;title\x07"))
    completion = await ask(tmp_path, {"command": "my-model"})
    assert (completion.text, completion.reasoning) == ("So.", "Hm.")
    assert (completion.usage, completion.cost_usd) == (None, None)


async def test_any_program_answers_in_json_at_the_paths_of_its_route(tmp_path: Path) -> None:
    printed = {"choices": [{"text": "So."}], "used": {"in": 12, "out": 3}, "cost": "0.5"}
    program(
        tmp_path,
        "my-model",
        f"{READ}assert sys.argv[1:] == ['--json']\nprint('log line')\nprint({json.dumps(printed)!r})",
    )
    paths = {"json": "choices.0.text", "prompt_tokens": "used.in", "completion_tokens": "used.out", "cost_usd": "cost"}
    route = {"command": ["my-model", "--json"], "input": "stdin", "output": paths}
    completion = await ask(tmp_path, route)
    assert completion == Completion("So.", "command/my-model", "stop", Usage(12, 3), Decimal("0.5"))


async def test_a_preset_with_an_output_of_its_own_is_called_as_written(tmp_path: Path) -> None:
    program(tmp_path, "claude", f"{READ}print(sys.argv[1:], given)")
    completion = await ask(tmp_path, {"command": ["claude", "-p"], "output": "text"}, (Message("user", "Hi"),))
    assert completion.text == "['-p'] Hi"


async def test_invalid_utf_8_is_replaced_and_noted(tmp_path: Path) -> None:
    program(tmp_path, "my-model", f"{READ}sys.stdout.buffer.write(b'S\\xff.')")
    completion = await ask(tmp_path, {"command": "my-model"})
    assert (completion.text, completion.notes) == (
        "S\ufffd.",
        ("command/my-model printed invalid UTF-8; replaced it",),
    )


async def test_parameters_that_no_program_takes_are_noted(tmp_path: Path) -> None:
    program(tmp_path, "my-model", printing("So."))
    completion = await ask(tmp_path, {"command": "my-model"}, parameters={"temperature": 0.7, "max_tokens": 100})
    assert completion.notes == ("command/my-model takes no parameters; left out temperature, max_tokens",)


async def test_an_answer_without_text_is_a_failure_and_of_unknown_cost(tmp_path: Path) -> None:
    program(tmp_path, "my-model", printing("\n"))
    with pytest.raises(AnswerEmpty) as caught:
        await ask(tmp_path, {"command": "my-model"})
    assert caught.value.paid is None


async def test_a_program_gets_a_short_list_of_variables_and_never_the_keys_of_others(tmp_path: Path) -> None:
    program(tmp_path, "claude", reporting(CLAUDE))
    usual = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "XDG_DATA_HOME": "/d", "TERM": "dumb", "TMPDIR": str(tmp_path)}
    login = {"CLAUDE_CONFIG_DIR": "/c", "CLAUDE_CODE_OAUTH_TOKEN": "a-token", "MY_PROXY": "p"}
    others = {
        "ANTHROPIC_API_KEY": "k",
        "OPENAI_API_KEY": "k",
        "CODEX_HOME": "/x",
        "AWS_PROFILE": "a",
        "NODE_OPTIONS": "",
    }
    route = {"command": "claude", "env": ["MY_PROXY", "UNSET"]}
    got = seen(await ask(tmp_path, route, environ={**usual, **login, **others}))["environ"]
    own = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    assert {name: value for name, value in got.items() if name != "LC_CTYPE"} == {**own, **usual, **login}


async def test_a_program_works_in_an_empty_folder_that_is_removed(tmp_path: Path) -> None:
    body = "\nopen('left', 'w').write('x')\nos.mkdir('deep')\n"
    program(tmp_path, "claude", reporting(CLAUDE) + body)
    got = [seen(await ask(tmp_path, {"command": "claude"})) for _ in range(2)]
    assert [each["held"] for each in got] == [[], []]
    assert got[0]["here"] != got[1]["here"]
    assert not any(map(os.path.exists, [path for each in got for path in (each["here"], *each["files"])]))


async def test_a_program_that_does_not_read_its_input_answers_too(tmp_path: Path) -> None:
    program(tmp_path, "my-model", "print('So.')")
    completion = await ask(tmp_path, {"command": "my-model"}, (Message("user", "x" * 2**20),))
    assert completion.text == "So."


async def test_a_prompt_and_an_answer_larger_than_the_pipes_pass(tmp_path: Path) -> None:
    program(tmp_path, "my-model", f"{READ}sys.stderr.write('e' * 2**20)\nprint(given[::-1])")
    prompt = "ab" * 2**20
    assert (await ask(tmp_path, {"command": "my-model"}, (Message("user", prompt),))).text == prompt[::-1]


async def test_a_missing_program_says_how_to_install_it_and_to_log_in(tmp_path: Path) -> None:
    with pytest.raises(MissingKey) as caught:
        await ask(tmp_path, {"command": "claude"})
    assert str(caught.value) == (
        "no route can be used here; install claude (not found in PATH): run npm install -g @anthropic-ai/claude-code, "
        "then log in with claude auth login"
    )


async def test_a_program_that_is_installed_later_is_found(tmp_path: Path) -> None:
    routes = {"m": (Route.model_validate({"command": "my-model"}),)}
    usable = real(routes, {"PATH": str(tmp_path)})[0].usable(routes)
    with pytest.raises(MissingKey, match="my-model"):
        await usable("m")
    path = program(tmp_path, "my-model", printing("So."))
    (target,) = await usable("m")
    assert (target.model, target.program and target.program.words) == ("command/my-model", (str(path),))


async def test_a_program_can_be_named_by_its_path(tmp_path: Path) -> None:
    program(tmp_path / "bin", "claude", printing(programs.claude("So.")))
    assert (await ask(tmp_path, {"command": str(tmp_path / "bin" / "claude")})).text == "So."
    assert (await ask(tmp_path, {"command": "~/bin/claude"})).text == "So."
