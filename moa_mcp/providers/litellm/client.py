"""The litellm transport, and the only module that imports litellm.

litellm takes seconds to import, so it is loaded in a background thread when it is first needed. Its own printing,
telemetry, retries, caches and blocking downloads are turned off; what remains is one request and one reply.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import anyio

from moa_mcp.errors import CallError, ParameterRefused, RequestRefused, ServerFailed
from moa_mcp.providers.failures import bodies
from moa_mcp.providers.failures.refusals import refused, unreached
from moa_mcp.providers.litellm import endpoints
from moa_mcp.providers.litellm.errors import destination_of, errors_mapped, parsed
from moa_mcp.providers.openai.request import messages, parameters, reply_form
from moa_mcp.providers.replies.collector import Collecting
from moa_mcp.providers.replies.completions import unanswered
from moa_mcp.routing import proxies
from moa_mcp.values import Call, Completion, Target

_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise the import downloads a file
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",  # likewise
    "LITELLM_MODE": "PRODUCTION",  # otherwise it reads any .env file in the working directory
    "LITELLM_LOG": "ERROR",
}
_CLIENT_TIMEOUT_S = 3600.0
"""One value for all calls: litellm opens a new connection per timeout value. The timeout layer ends calls."""
_QUIET_SWITCH_S = 0.0005
_CLOSE_S = 2.0
_SAY_THEIR_END = {"anthropic", "azure", "openai"}
"""Providers that stream a finish reason, and for which litellm records whether one arrived."""
_GOOGLE = {"gemini", "vertex_ai"}
_END_RECEIVED = ("received_finish_reason", "intermittent_finish_reason")
"""The attributes of litellm's stream that record it."""


class LiteLLM:
    """Answers calls through ``litellm.acompletion``. Runs on asyncio only, as litellm does."""

    def __init__(self) -> None:
        self._loaded = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._module: ModuleType | None = None
        self._fault: Exception | None = None
        self._no_stream_options: set[Target] = set()
        """Targets that reject `stream_options`, the parameter that requests the usage of a stream."""

    def load(self) -> None:
        """Start to load litellm in the background and return at once. Later calls do nothing."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._load, name="moa-litellm", daemon=True)
                self._thread.start()

    async def __call__(self, call: Call) -> Completion:
        target = call.target
        if target is None:
            raise RequestRefused(f"no route selected for {call.agent}")
        litellm = await self._litellm()
        arguments = _arguments(call, target)
        if call.on_text is None:
            return await _whole(litellm, call, target, arguments)
        if target in self._no_stream_options:
            arguments.pop("stream_options", None)
        try:
            return await _streamed(litellm, call, target, arguments)
        except ParameterRefused as error:
            if error.parameter != "stream_options" or "stream_options" not in arguments:
                raise
        self._no_stream_options.add(target)
        return await self(call)

    async def ready(self) -> None:
        """Wait until litellm is loaded or failed to load, so that loading does not count towards a call's timeout."""
        self.load()
        if not self._loaded.is_set():
            await anyio.to_thread.run_sync(self._loaded.wait, abandon_on_cancel=True)

    async def _litellm(self) -> Any:  # noqa: ANN401  a module without types
        await self.ready()
        if self._module is None:
            raise ServerFailed(f"litellm failed to load: {self._fault}")
        return self._module

    def _load(self) -> None:
        # Garbage collection and long thread switches would block the event loop for about 200 ms at a time.
        gc.collect()
        gc.freeze()
        gc.disable()
        switch = sys.getswitchinterval()
        sys.setswitchinterval(_QUIET_SWITCH_S)
        try:
            self._module = _imported()
        except Exception as error:  # noqa: BLE001  a broken installation may raise anything; each call reports it
            self._fault = error
        finally:
            gc.freeze()
            gc.enable()
            sys.setswitchinterval(switch)
            self._loaded.set()


def _imported() -> ModuleType:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import litellm  # noqa: PLC0415  lazy, see the module's docstring

    logging.getLogger("LiteLLM").setLevel(logging.ERROR)  # otherwise it logs internal warnings at each start
    litellm.suppress_debug_info = True  # otherwise it prints to stdout, which carries the MCP protocol
    litellm.disable_hf_tokenizer_download = True  # otherwise the end of a stream may block for 30 seconds
    litellm.drop_params = False  # rejected parameters are negotiated and recorded in the trace
    litellm.cache = None
    litellm.num_retries = 0
    _decide_proxies()
    warm = {
        "model": "openai/gpt-4o-mini",
        "messages": [{"role": "user", "content": "x"}],
        "mock_response": "x",
    }
    asyncio.run(litellm.acompletion(**warm))  # sends no request; otherwise the first call imports for 0.5 s
    return litellm


def _decide_proxies() -> None:
    """Make litellm use the proxy that all other calls and probes use."""
    transport: Any = import_module("litellm.llms.custom_httpx.aiohttp_transport").LiteLLMAiohttpTransport

    def chosen(_: object, url: object) -> str | None:
        return proxies.proxy_for(str(url))

    transport._proxy_from_env = chosen  # noqa: SLF001  litellm has no setting for it


def _arguments(call: Call, target: Target) -> dict[str, Any]:
    streaming = {"stream": True, "stream_options": {"include_usage": True}} if call.on_text else {}
    samples = {"n": call.samples} if call.samples > 1 else {}
    return {
        "model": target.model,
        "messages": messages(call),
        "api_base": endpoints.base(target, os.environ),
        "api_key": target.api_key,
        "timeout": _CLIENT_TIMEOUT_S,
        "max_retries": 0,
        **parameters(call, call.parameters),
        **reply_form(call),
        **samples,
        **streaming,
    }


async def _whole(litellm: Any, call: Call, target: Target, arguments: dict[str, Any]) -> Completion:  # noqa: ANN401
    replies: list[str] = []

    def keep(details: Mapping[str, Any]) -> None:
        """Record the raw reply: litellm does not pass on the message of an error with status 200."""
        came = details.get("original_response")
        if isinstance(came, str):
            replies[:] = [came]

    with errors_mapped(target, replies):
        return _completion(call, target, await litellm.acompletion(**arguments, logger_fn=keep), replies)


async def _streamed(litellm: Any, call: Call, target: Target, arguments: dict[str, Any]) -> Completion:  # noqa: ANN401
    with errors_mapped(target):
        stream = await litellm.acompletion(**arguments)
    lines = _lines(target, stream)
    collecting = Collecting(call, target)
    reply = collecting.reply
    try:
        with errors_mapped(target):
            async for chunk in stream:
                collecting.take(_part(chunk, "delta"))
                if collecting.cut:
                    break
    except CallError as error:
        error.paid = None if reply.begun else error.paid
        raise
    finally:
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await stream.aclose()
    if not (reply.billed or reply.begun):  # litellm turns a reply that is not a stream, such as HTML, into this
        raise unanswered(target)
    if not collecting.cut and _is_broken(target, stream, lines):
        raise unreached(target, connected=True)
    return collecting.completion()


class _Lines:
    """Observes the lines of a Google stream, since litellm invents a finish reason when one ends."""

    def __init__(self) -> None:
        self.ended = False
        """Whether a line held a finish reason."""

    def watch(self, stream: Any) -> None:  # noqa: ANN401
        """Observe the lines that litellm reads from `stream`."""
        make_call = stream.make_call

        async def watched(**arguments: Any) -> Any:  # noqa: ANN401
            reader = await make_call(**arguments)
            reader.streaming_response = self._read(reader.streaming_response)
            return reader

        stream.make_call = watched

    async def _read(self, lines: Any) -> AsyncGenerator[Any]:  # noqa: ANN401
        async for line in lines:
            self.ended = self.ended or _says_why_it_ended(line)
            yield line


def _says_why_it_ended(line: str) -> bool:
    if 'Reason"' not in line:
        return False
    try:
        json.loads(line.removeprefix("data:"))
    except ValueError:  # an incomplete line
        return False
    return True


def _lines(target: Target, stream: Any) -> _Lines | None:  # noqa: ANN401
    """Return the observer of a Google stream; None for other providers."""
    if target.provider not in _GOOGLE or getattr(stream, "make_call", None) is None:
        return None
    lines = _Lines()
    lines.watch(stream)
    return lines


def _is_broken(target: Target, stream: Any, lines: _Lines | None) -> bool:  # noqa: ANN401
    """Whether a stream ended without a finish reason, which litellm hides."""
    if lines is not None:
        return not lines.ended
    return target.provider in _SAY_THEIR_END and not any(getattr(stream, name, True) for name in _END_RECEIVED)


def _completion(call: Call, target: Target, response: Any, replies: Sequence[str]) -> Completion:  # noqa: ANN401
    collecting = Collecting(call, target)
    collecting.take(_part(response, "message"))
    for raw in replies if not collecting.reply.begun else ():
        if (fault := bodies.broken(parsed(raw))) is not None:
            raise refused(target, None, fault, destination=destination_of(target, None))
    return collecting.completion()


def _part(response: Any, name: str) -> dict[str, Any]:  # noqa: ANN401
    """Return a response or chunk of litellm's as in OpenAI's API."""
    choices = getattr(response, "choices", None) or ()
    usage = getattr(response, "usage", None)
    return {"choices": [_choice(each, name) for each in choices], "usage": _usage(usage) if usage else None}


def _choice(choice: Any, name: str) -> dict[str, Any]:  # noqa: ANN401
    message = getattr(choice, name, None)
    extras: Any = getattr(message, "provider_specific_fields", None) or {}
    fields = {key: getattr(message, key, None) or extras.get(key) for key in ("content", "refusal", *_THOUGHTS)}
    native: Any = getattr(choice, "provider_specific_fields", None) or {}
    return {
        "index": getattr(choice, "index", None),
        "finish_reason": choice.finish_reason,
        "native_finish_reason": native.get("native_finish_reason"),
        name: fields,
    }


_THOUGHTS = ("reasoning_content", "reasoning", "thinking_blocks")


def _usage(usage: Any) -> dict[str, Any]:  # noqa: ANN401
    prompt, completion = (getattr(usage, f"{part}_tokens_details", None) for part in ("prompt", "completion"))
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": getattr(usage, "total_tokens", None),
        "prompt_tokens_details": {
            name: getattr(prompt, name, None) for name in ("cached_tokens", "cache_creation_tokens")
        },
        "completion_tokens_details": {"reasoning_tokens": getattr(completion, "reasoning_tokens", None)},
    }
