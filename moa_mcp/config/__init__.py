"""The configuration as values. A `ConfigError` reports all problems at once, with file, table, key, value and fix."""

from __future__ import annotations

from moa_mcp.config.files import ENVIRONMENT_VARIABLE, find, load, parse, shipped
from moa_mcp.config.reader import OWN_TOOLS, STEP_TYPES
from moa_mcp.config.tables import FILE_NAME, Config, Defaults, ModelTable, Pipeline, models_of

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "FILE_NAME",
    "OWN_TOOLS",
    "STEP_TYPES",
    "Config",
    "Defaults",
    "ModelTable",
    "Pipeline",
    "find",
    "load",
    "models_of",
    "parse",
    "shipped",
]
