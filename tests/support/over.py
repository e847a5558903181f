"""The transports over which real models are asked, one at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from moa_mcp.middleware import Model
from moa_mcp.providers.litellm.client import LiteLLM
from moa_mcp.providers.openai.client import OpenAICompatible

TRANSPORTS = ("openai", "litellm")


@asynccontextmanager
async def over(transport: str) -> AsyncIterator[Model]:
    """Yield the client of a transport, and close its connections."""
    if transport == "openai":
        wire = OpenAICompatible()
        yield wire
        await wire.close()
    else:
        yield LiteLLM()
        await import_module("litellm").close_litellm_async_clients()
