"""The provider for real models, and the only module that knows litellm.

litellm takes seconds to import, so it is loaded in a thread of its own, once somebody asks for it. Everything in it
that prints, phones, retries, caches or blocks is off; what remains is one request and one reply.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any

import anyio

from moa_mcp import catalog
from moa_mcp.errors import (
    AnswerEmpty,
    AnswerRefused,
    AuthFailed,
    CallError,
    ConnectionFailed,
    ContextTooLong,
    ModelNotFound,
    ParameterRefused,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)
from moa_mcp.redact import redact
from moa_mcp.values import Call, Completion, FinishReason, Target, Usage

_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches a file while it is imported
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",  # the same
    "LITELLM_MODE": "PRODUCTION",  # else it reads whatever .env lies about
    "LITELLM_LOG": "ERROR",
}
_CLIENT_TIMEOUT_S = 3600.0
"""The same for every call: litellm opens a new connection for each timeout it sees. The timeout layer ends calls."""
_QUIET_SWITCH_S = 0.0005
_CLOSE_S = 2.0


class LiteLLM:
    """Answers calls through ``litellm.acompletion``. Runs on asyncio alone, as litellm does."""

    def __init__(self) -> None:
        self._loaded = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._module: ModuleType | None = None
        self._fault: Exception | None = None

    def load(self) -> None:
        """Start to load litellm in the background; returns at once, and does so only the first time."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._load, name="moa-litellm", daemon=True)
                self._thread.start()

    async def __call__(self, call: Call) -> Completion:
        target = call.target
        if target is None:
            raise RequestRefused(f"no route was chosen for {call.agent}")
        litellm = await self._litellm()
        arguments = _arguments(call, target)
        with _errors_mapped(target):
            if call.on_text is None:
                return _completion(target, await litellm.acompletion(**arguments))
            return await _streamed(litellm, call, target, arguments)

    async def ready(self) -> None:
        """Return when litellm is loaded, or can't be: an attempt that then begins is not charged for the loading."""
        self.load()
        if not self._loaded.is_set():
            await anyio.to_thread.run_sync(self._loaded.wait, abandon_on_cancel=True)

    async def _litellm(self) -> Any:  # noqa: ANN401  a module without types
        await self.ready()
        if self._module is None:
            raise ServerFailed(f"litellm can't be loaded: {self._fault}")
        return self._module

    def _load(self) -> None:
        # The collector and long thread switches would stall the event loop for a fifth of a second at a time.
        gc.collect()
        gc.freeze()
        gc.disable()
        switch = sys.getswitchinterval()
        sys.setswitchinterval(_QUIET_SWITCH_S)
        try:
            self._module = _imported()
        except Exception as error:  # noqa: BLE001  what a broken installation raises is told to every call
            self._fault = error
        finally:
            gc.freeze()
            gc.enable()
            sys.setswitchinterval(switch)
            self._loaded.set()


def _imported() -> ModuleType:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import litellm  # noqa: PLC0415  late, as the module says

    logging.getLogger("LiteLLM").setLevel(logging.ERROR)  # else it warns of its own housekeeping at every start
    litellm.suppress_debug_info = True  # else it prints to stdout, which carries the protocol
    litellm.disable_hf_tokenizer_download = True  # else a stream's end may block for half a minute
    litellm.drop_params = False  # what a model refuses is negotiated, and stands in the trace
    litellm.cache = None
    litellm.num_retries = 0
    warm = {
        "model": "openai/gpt-4o-mini",
        "messages": [{"role": "user", "content": "x"}],
        "mock_response": "x",
    }
    asyncio.run(litellm.acompletion(**warm))  # asks nobody; the first call would import half a second's worth
    return litellm


def _arguments(call: Call, target: Target) -> dict[str, Any]:
    streaming = {"stream": True, "stream_options": {"include_usage": True}} if call.on_text else {}
    return {
        "model": target.model,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
        "api_base": target.api_base,
        "api_key": target.api_key,
        "timeout": _CLIENT_TIMEOUT_S,
        "max_retries": 0,
        **call.parameters,
        **streaming,
    }


async def _streamed(litellm: Any, call: Call, target: Target, arguments: dict[str, Any]) -> Completion:  # noqa: ANN401
    stream = await litellm.acompletion(**arguments)
    pieces: list[str] = []
    finish_reason: str | None = None
    usage: Usage | None = None
    try:
        async for chunk in stream:
            usage = _usage(chunk) or usage
            for choice in chunk.choices[:1]:
                finish_reason = choice.finish_reason or finish_reason
                piece = choice.delta.content
                if piece:
                    pieces.append(piece)
                    if call.on_text is not None:
                        call.on_text(piece)
    finally:
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await stream.aclose()
    if not pieces and usage is None:  # so litellm shows what is no stream at all, a proxy's HTML page for one
        raise ServerFailed(f"{target.model} sent a reply without an answer in it")
    return _checked(target, "".join(pieces), finish_reason, usage)


def _completion(target: Target, response: Any) -> Completion:  # noqa: ANN401
    choices = getattr(response, "choices", None)
    if not choices:
        raise ServerFailed(f"{target.model} sent a reply without an answer in it")
    message = choices[0].message
    extras: Any = getattr(message, "provider_specific_fields", None) or {}
    refusal = extras.get("refusal")
    if refusal and not message.content:
        raise _billed(target, AnswerRefused(f"{target.model} declined: {redact(str(refusal))}"), _usage(response))
    return _checked(target, message.content or "", choices[0].finish_reason, _usage(response))


def _checked(target: Target, text: str, finish_reason: str | None, usage: Usage | None) -> Completion:
    if finish_reason == "content_filter":
        raise _billed(target, AnswerRefused(f"the provider's filter stopped {target.model}"), usage)
    at_limit = finish_reason == "length"
    if not text.strip():
        why = "used up its token limit before it wrote any" if at_limit else "returned none"
        raise _billed(target, AnswerEmpty(f"no text: {target.model} {why}", at_limit=at_limit), usage)
    reason: FinishReason = "length" if at_limit else "stop" if finish_reason in {"stop", None} else "other"
    return Completion(text, target.model, reason, usage, _cost(target, usage))


def _billed(target: Target, error: CallError, usage: Usage | None) -> CallError:
    error.usage = usage
    error.cost_usd = _cost(target, usage)
    return error


def _cost(target: Target, usage: Usage | None) -> Decimal | None:
    price = catalog.price_at(target)
    return None if usage is None or price is None else price.cost_usd(usage)


def _usage(response: Any) -> Usage | None:  # noqa: ANN401
    usage = getattr(response, "usage", None)
    if usage is None:
        return None
    prompt_details = getattr(usage, "prompt_tokens_details", None)
    completion_details = getattr(usage, "completion_tokens_details", None)
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=getattr(prompt_details, "cached_tokens", None) or 0,
        reasoning_tokens=getattr(completion_details, "reasoning_tokens", None) or 0,
    )


@contextmanager
def _errors_mapped(target: Target) -> Generator[None]:
    """Turn litellm's exceptions into ours: by status and cause, since its classes differ between providers."""
    try:
        yield
    except CallError:
        raise
    except Exception as error:  # litellm lets bare exceptions of many libraries through
        raise _error(target, error) from error


def _error(target: Target, error: Exception) -> CallError:  # noqa: C901, PLR0911  a table
    said = _said(error, target.api_key)
    message = f"{target.model}: {said}"
    status = _status(error)
    if type(error).__name__ == "ContentPolicyViolationError":
        return AnswerRefused(message)
    if _comes_of(error, _DISCONNECTIONS):
        return ConnectionFailed(f"{target.model}: no connection to {target.api_base or 'the provider'}")
    if _comes_of(error, {"JSONDecodeError"}):
        return ServerFailed(f"{target.model} sent a reply that is not valid JSON")
    match status:
        case 401 | 403:
            return AuthFailed(message)
        case 402:
            return QuotaExceeded(message)
        case 404:
            return ModelNotFound(message)
        case 408:
            return TimedOut(message)
        case 429 if "insufficient_quota" in str(getattr(error, "body", "")) or "exceeded your current quota" in said:
            return QuotaExceeded(message)
        case 429:
            return RateLimited(message, retry_after_s=_retry_after(error))
        case 400 | 413 | 422:
            return _refused(said, message)
        case _:
            return ServerFailed(message, retry_after_s=_retry_after(error))


_PARAMETER = re.compile(r"\b(temperature|top_p|max_tokens|max_completion_tokens)\b")
_INSTEAD = re.compile(r"[Uu]se\W+(max_tokens|max_completion_tokens)\b")
_TOO_LONG = re.compile(
    r"context.?(length|window)|maximum context|too long|too many (input )?tokens|prompt is too large",
    re.IGNORECASE,
)


def _refused(said: str, message: str) -> CallError:
    if _TOO_LONG.search(said):
        return ContextTooLong(message)
    named = _PARAMETER.search(said)
    if named is None:
        return RequestRefused(message)
    instead = _INSTEAD.search(said)
    return ParameterRefused(message, parameter=named[1], instead=instead[1] if instead else None)


def _status(error: Exception) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


_DISCONNECTIONS = {"ConnectError", "ClientConnectionError", "ConnectionError", "RemoteProtocolError", "ReadError"}


def _comes_of(error: BaseException, kinds: set[str]) -> bool:
    """Whether an error of these kinds is underneath: litellm reports all of them as server errors of status 500."""
    cause: BaseException | None = error
    while cause is not None:
        if kinds & {kind.__name__ for kind in type(cause).__mro__}:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _retry_after(error: Exception) -> float | None:
    for holder in (error, getattr(error, "response", None)):
        headers: Any = getattr(holder, "litellm_response_headers", None) or getattr(holder, "headers", None) or {}
        asked = headers.get("retry-after")
        if asked is not None:
            return _seconds(str(asked))
    return None


def _seconds(asked: str) -> float | None:
    """Read a Retry-After value: seconds, or a date (RFC 9110, section 10.2.3)."""
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return None


def _said(error: Exception, key: str | None, limit: int = 400) -> str:
    """Return the provider's own words: without litellm's prefixes, tracebacks and keys, on one line."""
    text = str(getattr(error, "message", "") or error).partition("Traceback (most recent call last)")[0]
    text = re.sub(r"\b(litellm\.\w+|\w*(Error|Exception|Exception - )):\s*|\b\w+Exception - ", "", text)
    line = redact(" ".join(text.split()), {**os.environ, "ROUTE_KEY": key or ""}).strip(" .")
    return line if len(line) <= limit else line[: limit - 1] + "…"
