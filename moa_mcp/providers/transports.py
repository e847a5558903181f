"""Sends each call over the transport of its target."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from moa_mcp.errors import CallError, UnexpectedFault
from moa_mcp.values import Call, Completion, Transport

if TYPE_CHECKING:
    from moa_mcp.providers.command.client import Programs
    from moa_mcp.providers.litellm.client import LiteLLM
    from moa_mcp.providers.openai.client import OpenAICompatible

_log = logging.getLogger(__name__)


class Real:
    """Answers calls with real models. A transport is imported with the first call that uses it.

    The parsers of replies compile many regular expressions, which a server need not do before its first answer.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """`environ` has the variables that programs may get; the process's own by default."""
        self._environ = os.environ if environ is None else environ
        self._ready: set[Transport] = set()

    def use(self, environ: Mapping[str, str]) -> None:
        """Take the variables that programs may get from now on from `environ`."""
        self._environ = environ
        self.__dict__.pop("_programs", None)

    @cached_property
    def _wire(self) -> OpenAICompatible:
        from moa_mcp.providers.openai.client import OpenAICompatible  # noqa: PLC0415  lazy, see the docstring of the class

        return OpenAICompatible()

    @cached_property
    def _litellm(self) -> LiteLLM:
        from moa_mcp.providers.litellm.client import LiteLLM  # noqa: PLC0415

        return LiteLLM()

    @cached_property
    def _programs(self) -> Programs:
        from moa_mcp.providers.command.client import Programs  # noqa: PLC0415

        return Programs(self._environ)

    async def __call__(self, call: Call) -> Completion:
        """Answer a call. An unexpected exception fails only this call. Raises `CallError`."""
        transport: Transport = call.target.transport if call.target else "litellm"
        try:
            match transport:
                case "openai":
                    return await self._wire(call)
                case "command":
                    return await self._programs(call)
                case "litellm":  # exhaustive
                    return await self._litellm(call)
        except CallError:
            raise
        except Exception as error:
            model = call.target.model if call.target else call.agent
            _log.exception("a call of %s failed with an unexpected error", model)
            message = f"{model}: unexpected {type(error).__name__} in moa-mcp; see the log on stderr"
            raise UnexpectedFault(message) from error

    async def ready(self, first: Iterable[Transport], later: Iterable[Transport] = ()) -> None:
        """Wait until the `first` transports are loaded; start to load the `later` ones in the background."""
        first, any_time = set(first), {*first, *later}
        if "openai" in any_time - self._ready:
            await anyio.to_thread.run_sync(getattr, self, "_wire")
        if "command" in any_time - self._ready:
            await anyio.to_thread.run_sync(getattr, self, "_programs")
        if "litellm" in any_time:
            self._litellm.load()
        if first <= self._ready:
            return
        async with anyio.create_task_group() as tasks:
            if "openai" in first:
                tasks.start_soon(self._wire.ready)
            if "litellm" in first:
                tasks.start_soon(self._litellm.ready)
        self._ready |= first

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if "_wire" in self.__dict__:
            await self._wire.close()
