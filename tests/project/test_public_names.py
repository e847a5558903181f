"""What a program imports from the package, and what is not loaded before somebody needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import moa_mcp


@pytest.mark.parametrize("name", moa_mcp.__all__)
def test_a_public_name_can_be_imported_and_is_listed(name: str) -> None:
    assert getattr(moa_mcp, name) is not None
    assert name in dir(moa_mcp)


def test_another_name_is_refused_as_that_of_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'moa_mcp' has no attribute 'Pipelines'"):
        _ = moa_mcp.Pipelines  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_the_version_is_said_without_loading_what_reads_the_configuration() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "moa_mcp", "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.startswith("moa-mcp ")
    assert "click" in ended.stderr
    assert "pydantic" not in ended.stderr
