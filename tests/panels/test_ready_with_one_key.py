"""Any one key, or a local server alone, makes all shipped pipelines ready."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from moa_mcp.config import load, models_of, shipped
from moa_mcp.panels import PROVIDERS, Resolver
from moa_mcp.planning.plan import blocking, reach
from moa_mcp.providers.backend import real
from moa_mcp.routing import credentials
from moa_mcp.steps.panel import panel_member
from tests.support.model_server import ModelServer

pytestmark = pytest.mark.anyio

CONFIG = load(shipped())
NOWHERE = {f"{name}_API_BASE": "http://127.0.0.1:9/v1" for name in ("OLLAMA", "LM_STUDIO", "HOSTED_VLLM", "LLAMAFILE")}


def key_of(provider: str) -> dict[str, str]:
    return dict.fromkeys(credentials.KEYS[provider][0], "http://azure.invalid") | NOWHERE


async def readiness(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return what blocks each shipped pipeline in an environment."""
    backend, routes = real(CONFIG.models, environ)
    resolver = Resolver(CONFIG, backend.usable, backend.candidates)
    found: dict[str, tuple[str, ...]] = {}
    for name, pipeline in CONFIG.pipelines.items():
        resolved = await resolver.resolve(pipeline)
        assert not any(map(panel_member, models_of(resolved.pipeline)))
        reached = await reach(resolved.pipeline, routes.of(resolved.routes))
        found[name] = blocking(resolved.pipeline, {each.alias for each in reached if each.route is None})
        assert all(each.route for each in reached), f"{name}: {[each.alias for each in reached if not each.route]}"
    return found


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_one_key_makes_all_pipelines_ready(provider: str) -> None:
    assert await readiness(key_of(provider)) == dict.fromkeys(CONFIG.pipelines, ())


async def test_a_local_server_alone_makes_all_pipelines_ready() -> None:
    with ModelServer("qwen3:8b", "nomic-embed-text:latest", "llama3.1:8b") as server:
        environ = {**NOWHERE, "OLLAMA_API_BASE": server.url}
        assert await readiness(environ) == dict.fromkeys(CONFIG.pipelines, ())


async def test_the_last_layer_of_every_pipeline_has_another_model_as_its_fallback() -> None:
    backend, _ = real(CONFIG.models, key_of("openrouter"))
    resolver = Resolver(CONFIG, backend.usable, backend.candidates)
    for pipeline in CONFIG.pipelines.values():
        resolved = await resolver.resolve(pipeline)
        last = resolved.pipeline.steps[-1]
        if not last.models:  # a count calls no model
            assert pipeline.name == "verdict"
            continue
        (agent,) = set(last.models)
        assert last.fallback is not None
        assert resolved.routes[last.fallback] != resolved.routes[agent]
