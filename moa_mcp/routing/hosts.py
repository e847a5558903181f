"""Providers with an OpenAI-compatible API: their addresses, and their names of models.

Addresses and environment variables are litellm's (1.106), so that a route leads to the same server over both
transports. Those in litellm's code are copied here; those in its JSON file are read from that file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_TABLE = Path("llms/openai_like/providers.json")
_PLAIN = {"base_url", "api_key_env", "api_base_env", "base_class", "param_mappings", "supported_endpoints"}
"""Keys that an entry of the file may have here. Other keys, such as `headers`, need more than the plain API."""


class Host(NamedTuple):
    """A provider with an OpenAI-compatible API."""

    base: str | None
    """None if only the environment has the address."""
    variables: tuple[str, ...] = ()
    """The environment variables that override the address."""
    stream_usage: bool = True
    """Whether to request usage of a stream with `stream_options`. Others always send it, or reject the parameter."""

    def variable(self, environ: Mapping[str, str]) -> str:
        """Return the environment variable that overrides the address; empty if none is set."""
        return next((name for name in self.variables if environ.get(name)), "")


HOSTS: Mapping[str, Host] = {
    "cerebras": Host("https://api.cerebras.ai/v1", ("CEREBRAS_API_BASE",), stream_usage=False),
    "dashscope": Host("https://dashscope.aliyuncs.com/compatible-mode/v1", ("DASHSCOPE_API_BASE",)),
    "deepinfra": Host("https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_BASE",), stream_usage=False),
    "deepseek": Host("https://api.deepseek.com/beta", ("DEEPSEEK_API_BASE",)),
    "fireworks_ai": Host("https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_BASE",)),
    "github": Host("https://models.inference.ai.azure.com", ("GITHUB_API_BASE",)),
    "groq": Host("https://api.groq.com/openai/v1", ("GROQ_API_BASE",)),
    "hyperbolic": Host("https://api.hyperbolic.xyz/v1", ("HYPERBOLIC_API_BASE",), stream_usage=False),
    "lambda_ai": Host("https://api.lambda.ai/v1", ("LAMBDA_API_BASE",)),
    "litellm_proxy": Host(None, ("LITELLM_PROXY_API_BASE",)),
    "minimax": Host("https://api.minimax.io/v1", ("MINIMAX_API_BASE",)),
    "mistral": Host("https://api.mistral.ai/v1", ("MISTRAL_API_BASE", "MISTRAL_AZURE_API_BASE"), stream_usage=False),
    "moonshot": Host("https://api.moonshot.ai/v1", ("MOONSHOT_API_BASE",)),
    "nebius": Host("https://api.studio.nebius.ai/v1", ("NEBIUS_API_BASE",)),
    "novita": Host("https://api.novita.ai/v3/openai", ("NOVITA_API_BASE",)),
    "nscale": Host("https://inference.api.nscale.com/v1", ("NSCALE_API_BASE",), stream_usage=False),
    "nvidia_nim": Host("https://integrate.api.nvidia.com/v1", ("NVIDIA_NIM_API_BASE",), stream_usage=False),
    "openai": Host("https://api.openai.com/v1", ("OPENAI_BASE_URL", "OPENAI_API_BASE")),
    "openrouter": Host("https://openrouter.ai/api/v1", ("OPENROUTER_API_BASE",)),
    "perplexity": Host("https://api.perplexity.ai", ("PERPLEXITY_API_BASE",), stream_usage=False),
    "sambanova": Host("https://api.sambanova.ai/v1", ("SAMBANOVA_API_BASE",)),
    "together_ai": Host("https://api.together.ai/v1", ("TOGETHER_AI_API_BASE",)),
    "vercel_ai_gateway": Host("https://ai-gateway.vercel.sh/v1", ("VERCEL_AI_GATEWAY_API_BASE",)),
    "xai": Host("https://api.x.ai/v1", ("XAI_API_BASE",)),
    "zai": Host("https://api.z.ai/api/paas/v4", ("ZAI_API_BASE",)),
}


def host(provider: str) -> Host | None:
    """Return a provider's OpenAI-compatible API; None if it has none."""
    if provider in HOSTS:
        return HOSTS[provider]
    entry = _listed().get(provider)
    if entry is None or not _PLAIN.issuperset(entry):
        return None
    return Host(entry["base_url"].rstrip("/"), (entry["api_base_env"],) if "api_base_env" in entry else ())


def is_usual(url: str) -> bool:
    """Whether an address is the default of a known provider."""
    return any(url.startswith(f"{base}/") for base in _bases())


def base_at(address: str) -> str | None:
    """Return the default address of the provider at a server; None if the server is unknown."""
    server = urlsplit(address).netloc.lower()
    return next((base for base in _bases() if urlsplit(base).netloc == server), None)


def _bases() -> list[str]:
    listed = (host(name) for name in _listed())
    return [known.base for known in (*HOSTS.values(), *listed) if known is not None and known.base is not None]


def key_variable(provider: str) -> str | None:
    """Return the variable with the key of a provider that only litellm's file lists."""
    return _listed().get(provider, {}).get("api_key_env")


def wire_name(provider: str, model: str) -> str:
    """Return a model's name in requests to a provider: without the prefix of litellm, with that of Fireworks."""
    name = model.removeprefix(f"{provider}/")
    return _fireworks(name) if provider == "fireworks_ai" else name


def _fireworks(name: str) -> str:
    if name.startswith("accounts/") or "#" in name:
        return name
    if name.startswith(("models/", "routers/")):
        return f"accounts/fireworks/{name}"
    kind = "routers" if name.endswith("-fast") else "models"
    return f"accounts/fireworks/{kind}/{name}"


@cache
def _listed() -> Mapping[str, Mapping[str, Any]]:
    spec = find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        return {}
    try:
        return dict(json.loads((Path(spec.submodule_search_locations[0]) / _TABLE).read_bytes()))
    except (
        OSError,
        ValueError,
    ):  # another release may store the file elsewhere: calls to these providers then use litellm
        return {}
