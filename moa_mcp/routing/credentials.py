"""The environment variables that give access to each provider, as litellm reads them for chat completions.

litellm's own check is wrong for unknown, local and many hosted providers, so the table is taken from its source
(1.106). For many OpenAI-compatible hosts, litellm falls back to `OPENAI_API_KEY` and would send that key to them.
Therefore a route is never used if its own variables are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from moa_mcp.routing import hosts

_AZURE_ENTRA = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")

KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "ai21": (("AI21_API_KEY",),),
    "anthropic": (("ANTHROPIC_API_KEY",), ("ANTHROPIC_AUTH_TOKEN",)),
    "azure": (
        ("AZURE_API_KEY", "AZURE_API_BASE"),
        ("AZURE_OPENAI_API_KEY", "AZURE_API_BASE"),
        ("AZURE_API_KEY", "AZURE_OPENAI_ENDPOINT"),
        ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"),
        ("AZURE_OPENAI_AD_TOKEN", "AZURE_API_BASE"),
        (*_AZURE_ENTRA, "AZURE_API_BASE"),
    ),
    "azure_ai": (
        ("AZURE_AI_API_KEY", "AZURE_AI_API_BASE"),
        ("AZURE_API_KEY", "AZURE_AI_API_BASE"),
        ("AZURE_AD_TOKEN", "AZURE_AI_API_BASE"),
        (*_AZURE_ENTRA, "AZURE_AI_API_BASE"),
    ),
    "bedrock": (
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_BEARER_TOKEN_BEDROCK",),
        ("AWS_PROFILE",),
        ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
    ),
    "cerebras": (("CEREBRAS_API_KEY",),),
    "cohere": (("COHERE_API_KEY",), ("CO_API_KEY",)),
    "cohere_chat": (("COHERE_API_KEY",), ("CO_API_KEY",)),
    "dashscope": (("DASHSCOPE_API_KEY",),),
    "databricks": (
        ("DATABRICKS_API_KEY", "DATABRICKS_API_BASE"),
        ("DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET", "DATABRICKS_API_BASE"),
    ),
    "deepinfra": (("DEEPINFRA_API_KEY",),),
    "deepseek": (("DEEPSEEK_API_KEY",),),
    "fireworks_ai": (("FIREWORKS_API_KEY",), ("FIREWORKS_AI_API_KEY",), ("FIREWORKSAI_API_KEY",)),
    "gemini": (("GEMINI_API_KEY",), ("GOOGLE_API_KEY",)),
    "github": (("GITHUB_API_KEY",),),
    "groq": (("GROQ_API_KEY",),),
    "huggingface": (("HF_TOKEN",), ("HUGGINGFACE_API_KEY",)),
    "hyperbolic": (("HYPERBOLIC_API_KEY",),),
    "lambda_ai": (("LAMBDA_API_KEY",),),
    "litellm_proxy": (("LITELLM_PROXY_API_KEY", "LITELLM_PROXY_API_BASE"),),
    "minimax": (("MINIMAX_API_KEY",),),
    "mistral": (("MISTRAL_API_KEY",), ("MISTRAL_AZURE_API_KEY",)),
    "moonshot": (("MOONSHOT_API_KEY",),),
    "nebius": (("NEBIUS_API_KEY",),),
    "novita": (("NOVITA_API_KEY",),),
    "nscale": (("NSCALE_API_KEY",),),
    "nvidia_nim": (("NVIDIA_NIM_API_KEY",),),
    "openai": (("OPENAI_API_KEY",),),
    "openrouter": (("OPENROUTER_API_KEY",), ("OR_API_KEY",)),
    "perplexity": (("PERPLEXITY_API_KEY",), ("PERPLEXITYAI_API_KEY",)),
    "replicate": (("REPLICATE_API_KEY",), ("REPLICATE_API_TOKEN",)),
    "sambanova": (("SAMBANOVA_API_KEY",),),
    "together_ai": (("TOGETHERAI_API_KEY",), ("TOGETHER_API_KEY",), ("TOGETHER_AI_API_KEY",)),
    "vercel_ai_gateway": (("VERCEL_AI_GATEWAY_API_KEY",), ("VERCEL_OIDC_TOKEN",)),
    "vertex_ai": (("GOOGLE_APPLICATION_CREDENTIALS",), ("VERTEXAI_CREDENTIALS",), ("VERTEXAI_PROJECT",)),
    "watsonx": tuple(
        (key, url, "WATSONX_PROJECT_ID")
        for key in ("WATSONX_API_KEY", "WATSONX_APIKEY", "WATSONX_TOKEN")
        for url in ("WATSONX_URL", "WATSONX_API_BASE")
    ),
    "xai": (("XAI_API_KEY",),),
    "zai": (("ZAI_API_KEY",),),
}
"""By provider: alternative sets of variables. All variables of a set together give access. The usual set is first."""


def missing(provider: str, environ: Mapping[str, str]) -> str:
    """Return the variables that would give access to a provider; empty if they are set."""
    sets = alternatives(provider)
    return "" if given(sets, environ) else " and ".join(sets[0])


def key(provider: str, environ: Mapping[str, str]) -> str | None:
    """Return the key of a provider that takes a single key; None if the environment does not have it."""
    names = given(alternatives(provider), environ)
    return environ[names[0]] if names else None


def given(sets: Iterable[tuple[str, ...]], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the first set of variables of which all are set; empty if there is none."""
    return next((names for names in sets if all(environ.get(name) for name in names)), ())


def alternatives(provider: str) -> tuple[tuple[str, ...], ...]:
    """Return the sets of variables of which each gives access to a provider."""
    return KEYS.get(provider) or ((hosts.key_variable(provider) or f"{provider.upper()}_API_KEY",),)
