"""Finds and reads the configuration file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from platformdirs import user_config_path

from moa_mcp.config.reader import Reader
from moa_mcp.config.tables import FILE_NAME, Config
from moa_mcp.errors import ConfigError, Problem

ENVIRONMENT_VARIABLE = "MOA_MCP_CONFIG"


def find() -> Path:
    """Return the path of the configuration: `MOA_MCP_CONFIG`, else the user's file, else the shipped file."""
    own = users_file()
    return _named() or (own if own.exists() else shipped())


def users_file() -> Path:
    """Return the path of the user's file, which may not exist."""
    return user_config_path("moa-mcp") / FILE_NAME


def preferred() -> Path:
    """Return the path of a configuration that the user writes: `MOA_MCP_CONFIG`, else the user's file."""
    return _named() or users_file()


def _named() -> Path | None:
    path = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(path).expanduser() if path else None


def shipped() -> Path:
    """Return the path of the shipped file: inside the package, or at the root of a source tree."""
    package = Path(__file__).parent.parent
    inside = package / FILE_NAME
    return inside if inside.exists() else package.parent / FILE_NAME


def load(path: Path | None = None) -> Config:
    """Read a configuration.

    Raises:
        ConfigError: the file can't be read or has errors; lists all of them.

    """
    path = path or find()
    return parse(_read(path), str(path))


def parse(text: str, source: str = FILE_NAME) -> Config:
    """Parse a configuration from its text. Raises `ConfigError` as `load` does."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Problem("", f"not valid TOML: {_located(error, text)}")]) from error
    reader = Reader()
    config = reader.config(source, document)
    if reader.problems:
        raise ConfigError(source, reader.problems)
    return config


def _located(error: tomllib.TOMLDecodeError, text: str) -> str:
    """Return a syntax error with its line and column, which tomllib omits at the end of a file."""
    line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    return str(error).replace("(at end of document)", f"(at line {line}, column {column}, at the end of the file)")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        named = f" (set by {ENVIRONMENT_VARIABLE})" if path == _named() else ""
        raise ConfigError(str(path), [Problem("", f"no such file{named}")]) from error
    except UnicodeDecodeError as error:
        fault = f"not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}; save the file as UTF-8"
        raise ConfigError(str(path), [Problem("", fault)]) from error
    except OSError as error:
        raise ConfigError(str(path), [Problem("", f"can't be read: {error.strerror}")]) from error
