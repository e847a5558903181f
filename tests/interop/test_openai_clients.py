"""OpenAI's API as programs use it that were not written for this server; the models are simulated.

`npm ci` in tests/interop/typescript brings OpenAI's client for JavaScript, without which its test is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from moa_mcp.config import load, shipped
from tests.interop.test_typescript import FOLDER, node
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE, OFFLINE, ServerProcess

__all__ = ["node"]

MODEL = "self_moa"
QUESTION = "What is 17 * 23?"
LLM = f"""
- model_id: panel
  model_name: {MODEL}
  api_base: URL
"""
LITELLM = f"""
import json, sys
import litellm

def ask(model, **more):
    messages = [{{"role": "system", "content": "Be brief."}}, {{"role": "user", "content": "{QUESTION}"}}]
    return litellm.completion(model=model, messages=messages, api_base=sys.argv[1], api_key="none", **more)

answer = ask("openai/{MODEL}", temperature=0.5, max_tokens=300)
streamed = "".join(each.choices[0].delta.content or "" for each in ask("openai/{MODEL}", stream=True))
try:
    ask("openai/self-moa")
except litellm.NotFoundError as error:
    refused = str(error)
print(json.dumps([answer.choices[0].message.content, answer.usage.total_tokens, streamed, refused]))
"""
AGENT = f"""
import asyncio, json, sys
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

async def main():
    model = OpenAIChatModel("{MODEL}", provider=OpenAIProvider(base_url=sys.argv[1], api_key="none"))
    agent = Agent(model, instructions="Be brief.")
    first = await agent.run("{QUESTION}", model_settings={{"temperature": 0.5}})
    async with agent.run_stream("And why?", message_history=first.all_messages()) as second:
        streamed = await second.get_output()
    agent.tool_plain(lambda: 1, name="one")
    try:
        await agent.run("{QUESTION}")
    except ModelHTTPError as error:
        refused = str(error)
    print(json.dumps([first.output, first.usage.total_tokens, streamed, refused]))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def url(nursery: Nursery) -> Iterator[str]:
    with ServerProcess("--http", "--port", "0", *OFFLINE, nursery=nursery, prelude=AT_ONCE) as server:
        yield server.url.replace("/mcp", "/v1")


def run(*command: str, folder: Path = FOLDER, **environment: str) -> str:
    """Return what a program prints."""
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path)}
    ended = subprocess.run(
        command, cwd=folder, env={**own, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def seen_by(script: str, url: str) -> Any:
    """Return the JSON that a Python program prints in its last line."""
    return json.loads(run(sys.executable, "-c", script, url).splitlines()[-1])


def test_the_client_of_openai_for_javascript_lists_asks_streams_and_knows_the_errors(url: str, node: str) -> None:
    seen = json.loads(run(node, "openai.mjs", url, MODEL))
    answer = seen["answer"]
    assert seen["models"] == [*load(shipped()).pipelines]
    assert "391" in answer["choices"][0]["message"]["content"]
    assert answer["moa"]["notes"] == ["simulated: no model was called"]
    assert "391" in seen["text"]
    assert seen["usage"]["total_tokens"] == answer["usage"]["total_tokens"]
    assert seen["errors"] == [
        ["NotFoundError", 404, "model_not_found", "model"],
        ["BadRequestError", 400, "unsupported_parameter", "tools"],
    ]


def test_litellm_asks_streams_and_knows_the_errors(url: str) -> None:
    answer, tokens, streamed, refused = seen_by(LITELLM, url)
    assert "391" in answer
    assert "391" in streamed
    assert tokens > 0
    assert "did you mean self_moa" in refused


@pytest.mark.skipif(find_spec("llm") is None, reason="llm is not installed")
@pytest.mark.parametrize("options", [(), ("--no-stream", "--system", "Be brief.")])
def test_the_command_line_of_llm_asks_a_pipeline(url: str, tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(LLM.replace("URL", url), "utf-8")
    command = (sys.executable, "-m", "llm", "-m", "panel", *options, QUESTION)
    assert "391" in run(*command, folder=tmp_path, LLM_USER_PATH=str(tmp_path), HOME=str(tmp_path))


@pytest.mark.skipif(find_spec("pydantic_ai") is None, reason="pydantic-ai is not installed")
def test_an_agent_of_pydantic_ai_has_a_conversation_and_its_tools_are_refused(url: str) -> None:
    answer, tokens, streamed, refused = seen_by(AGENT, url)
    assert "391" in answer
    assert streamed
    assert tokens > 0
    assert "tools is not supported" in refused
