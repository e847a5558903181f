"""What directories of MCP servers read: the bundle for MCP hosts and the entry in the registry."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client

from moa_mcp.config import ENVIRONMENT_VARIABLE
from moa_mcp.routing.credentials import KEYS
from tests.project.structure import ROOT
from tests.support.distributions import built, metadata
from tests.support.serving import MEASURED
from tools import bundle

PROJECT = bundle.project()
MODULES = ROOT / "tests" / "interop" / "typescript" / "node_modules"


def read(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return data


MANIFEST = read(bundle.BUNDLE / "manifest.json")
ENTRY = read(bundle.SERVER)


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(name="folder", scope="module")
def _folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle as a host unpacks it."""
    folder = tmp_path_factory.mktemp("bundle")
    with ZipFile(bundle.packed(PROJECT, wheel, wheel.parent)) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(name="packer")
def _packer() -> list[str]:
    packer, node = MODULES / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js", shutil.which("node")
    if node is None or not packer.is_file():
        pytest.skip("run `npm ci` in tests/interop/typescript to validate the bundle with the official packer")
    return [node, str(packer)]


def test_what_is_in_the_repository_is_what_the_project_says() -> None:
    assert bundle.manifest(PROJECT) == MANIFEST, "run python tools/bundle.py"
    assert bundle.server(PROJECT) == ENTRY, "run python tools/bundle.py"


def test_the_keys_are_those_of_providers_and_hosts_keep_them_secret() -> None:
    settings = MANIFEST["user_config"]
    environment = MANIFEST["server"]["mcp_config"]["env"]
    first = {sets[0] for sets in KEYS.values()}
    assert all((name,) in first for name in bundle.KEYS)
    assert [*environment] == [*bundle.KEYS, ENVIRONMENT_VARIABLE]
    assert environment == {name.upper(): f"${{user_config.{name}}}" for name in settings}
    assert {name for name, each in settings.items() if each.get("sensitive")} == {name.lower() for name in bundle.KEYS}
    assert not any(each["required"] for each in settings.values())


def test_the_entry_has_the_fields_that_the_registry_requires(wheel: Path) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", ENTRY["name"])
    assert 1 <= len(ENTRY["description"]) <= 100
    assert 1 <= len(ENTRY["title"]) <= 100
    (package,) = ENTRY["packages"]
    about = metadata(wheel)
    assert (package["registryType"], package["registryBaseUrl"]) == ("pypi", "https://pypi.org")
    assert (package["identifier"], package["version"]) == (about["Name"], about["Version"])
    assert package["version"] == ENTRY["version"]
    assert package["transport"] == {"type": "stdio"}
    secrets = [each["name"] for each in package["environmentVariables"] if each.get("isSecret")]
    assert secrets == [*bundle.KEYS]


def test_the_page_on_pypi_proves_who_owns_the_entry(wheel: Path) -> None:
    assert f"<!-- mcp-name: {ENTRY['name']} -->" in str(metadata(wheel).get_payload())


def test_the_same_wheel_gives_the_same_bundle(wheel: Path, tmp_path: Path) -> None:
    first, second = (bundle.packed(PROJECT, wheel, folder) for folder in (wheel.parent, tmp_path))
    assert first.read_bytes() == second.read_bytes()
    assert first.name == f"moa-mcp-{PROJECT['version']}.mcpb"


def test_a_wheel_of_another_version_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"moa_mcp-9\.9-py3-none-any\.whl is not of version .*; build it anew"):
        bundle.packed(PROJECT, tmp_path / "moa_mcp-9.9-py3-none-any.whl", tmp_path)


def test_the_official_packer_accepts_the_bundle_and_leaves_nothing_out(
    folder: Path, wheel: Path, packer: list[str], tmp_path: Path
) -> None:
    again = tmp_path / "again.mcpb"
    commands: tuple[list[str | Path], ...] = (["validate", folder / "manifest.json"], ["pack", folder, again])
    for arguments in commands:
        done = subprocess.run([*packer, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    with ZipFile(again) as archive:
        assert {*archive.namelist()} == {"icon.png", "manifest.json", "pyproject.toml", "src/server.py", wheel.name}


@pytest.mark.anyio
async def test_a_host_that_has_no_values_for_the_settings_can_start_the_server(folder: Path, tmp_path: Path) -> None:
    unset = {**MANIFEST["server"]["mcp_config"]["env"], "ANTHROPIC_API_KEY": ""}
    quiet = {
        "MOA_MCP_JOURNAL": "none",
        "MOA_MCP_ENV_FILE": "none",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    start = StdioServerParameters(
        command=sys.executable,
        args=[MANIFEST["server"]["entry_point"]],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), **unset, **quiet, **MEASURED},
    )
    async with Client(stdio_client(start)) as client:
        tools = {tool.name: tool.description or "" for tool in (await client.list_tools()).tools}
    assert tools["vote"].startswith("NOT READY: no usable model.")
