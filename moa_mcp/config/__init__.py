"""The configuration as values. A `ConfigError` reports all problems at once, with file, table, key, value and fix."""

from __future__ import annotations

from moa_mcp.config.files import ENVIRONMENT_VARIABLE, find, load, parse, preferred, shipped, users_file
from moa_mcp.config.own_tools import OwnTool
from moa_mcp.config.reader import STEP_TYPES
from moa_mcp.config.single import routed, single
from moa_mcp.config.tables import (
    FILE_NAME,
    SETTINGS,
    BudgetSettings,
    Config,
    JournalSettings,
    LimitSettings,
    ModelTable,
    PanelSettings,
    Pipeline,
    StepDefaults,
    called,
    models_of,
)

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "FILE_NAME",
    "SETTINGS",
    "STEP_TYPES",
    "BudgetSettings",
    "Config",
    "JournalSettings",
    "LimitSettings",
    "ModelTable",
    "OwnTool",
    "PanelSettings",
    "Pipeline",
    "StepDefaults",
    "called",
    "find",
    "load",
    "models_of",
    "parse",
    "preferred",
    "routed",
    "shipped",
    "single",
    "users_file",
]
