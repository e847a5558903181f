"""Keys from the system's keychain, through the optional package keyring (`pip install moa-mcp[keyring]`).

The keychain may ask its user for permission. So it is only asked for keys that a route needs and that are not set, and
no longer once it has failed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import anyio
from anyio import to_thread

from moa_mcp.text.redact import redact

SERVICE = "moa-mcp"
"""The service under which keys are stored; the user name is that of the environment variable."""
_ANSWER_S = 60.0
"""Seconds in which its user can unlock the keychain."""
_log = logging.getLogger(__name__)


def is_installed() -> bool:
    """Return whether the package keyring is installed."""
    return find_spec("keyring") is not None


class KeychainFailed(Exception):
    """The keychain is locked, refused or missing."""


class NoKeychain(KeychainFailed):
    """The system has no keychain."""


class Keychain:
    """The keys in the system's keychain, each read at most once."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        """The variables that were set from the keychain."""
        self.problem = "" if is_installed() else "the package keyring is not installed"
        """Why it is not asked (any longer); empty if it is."""
        self._values: dict[str, str | None] = {}
        self._lock = anyio.Lock()  # otherwise concurrent runs would ask the user twice

    async def find(self, alternatives: Sequence[Sequence[str]], environ: Mapping[str, str]) -> Mapping[str, str]:
        """Return the missing variables of the first set that the keychain completes; empty if there is none.

        They are added to the environment of the process, where litellm and the masks of keys look for them.
        """
        async with self._lock:
            for names in alternatives:
                values = {name: await self._value(name) for name in names if not environ.get(name)}
                found = {name: value for name, value in values.items() if value}
                if len(found) == len(values):
                    os.environ.update(found)
                    self.names.update(found)
                    return found
        return {}

    async def _value(self, name: str) -> str | None:
        if name not in self._values and not self.problem:
            with anyio.move_on_after(_ANSWER_S):
                self._values[name] = await to_thread.run_sync(self._read, name, abandon_on_cancel=True)
            if name not in self._values:
                self._failed(f"no answer within {_ANSWER_S:.0f} s")
        return self._values.get(name)

    def _read(self, name: str) -> str | None:
        try:
            return read(name)
        except NoKeychain:  # usual on servers, where keyring came with another package
            self.problem = "the system has no keychain"
        except KeychainFailed as error:
            self._failed(str(error))
        return None

    def _failed(self, reason: str) -> None:
        self.problem = f"the keychain can't be used: {reason}"
        _log.warning("%s; keys in it are not used", self.problem)


def read(name: str) -> str | None:
    """Return the value of a variable in the keychain. Raises `KeychainFailed`."""
    with _failures() as keyring:
        value: str | None = keyring.get_password(SERVICE, name)
    return (value or "").strip() or None


def write(name: str, value: str | None) -> None:
    """Set a variable in the keychain, or remove it. Raises `KeychainFailed`."""
    with _failures() as keyring:
        if value is None:
            keyring.delete_password(SERVICE, name)
        else:
            keyring.set_password(SERVICE, name, value)


@contextmanager
def _failures() -> Generator[Any]:
    try:
        yield import_module("keyring")
    except Exception as error:  # backends are plug-ins, which may raise anything
        kind = NoKeychain if type(error).__name__ == "NoKeyringError" else KeychainFailed
        raise kind(redact(" ".join(str(error).split())) or type(error).__name__) from error
