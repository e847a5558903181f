"""The proxies of the documentation, with their configuration as it is written there: answers pass as they arrive."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.project.structure import ROOT
from tests.support.lives import Machine, until
from tests.support.model_server import Held
from tests.support.serving import ServerProcess, text

pytestmark = pytest.mark.anyio

HOSTING = (ROOT / "docs" / "hosting.md").read_text("utf-8")
CADDYFILE = ROOT / "packaging" / "compose" / "Caddyfile"
TOKEN = "the token of the team"
Configured = Callable[[int, int, Path], list[str]]
"""Writes the configuration of a proxy at a port for a server at another; returns the command of the proxy."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def documented(start: str) -> str:
    """Return the block of the documentation that begins so."""
    blocks: list[str] = re.findall(r"```text\n(.*?)```", HOSTING, re.DOTALL)
    return next(block for block in blocks if block.startswith(start))


def nginx(port: int, server: int, folder: Path) -> list[str]:
    block = documented("server {").replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    block = block.replace("127.0.0.1:8765", f"127.0.0.1:{server}")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    whole = f"pid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{block}}}\n"
    path = folder / "nginx.conf"
    path.write_text(whole, "utf-8")
    return ["nginx", "-p", str(folder), "-c", str(path), "-g", "daemon off;"]


def caddy(port: int, server: int, folder: Path) -> list[str]:
    block = documented("moa.example.com {").replace("moa.example.com", f"http://127.0.0.1:{port}")
    return _caddy(block.replace("127.0.0.1:8765", f"127.0.0.1:{server}"), folder)


def composed(port: int, server: int, folder: Path) -> list[str]:
    block = CADDYFILE.read_text("utf-8").replace("{$MOA_HOST}", f"http://127.0.0.1:{port}")
    return _caddy(block.replace("server-1:8765 server-2:8765", f"127.0.0.1:{server} 127.0.0.1:9"), folder)


def _caddy(block: str, folder: Path) -> list[str]:
    path = folder / "Caddyfile"
    path.write_text(f"{{\n    admin off\n    auto_https off\n    storage file_system {folder}\n}}\n{block}", "utf-8")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(path)]


@contextmanager
def proxied(server: ServerProcess, configured: Configured, folder: Path) -> Iterator[str]:
    """Start a proxy before a server; return the URL of the server behind it."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    behind = httpx2.URL(server.url).port
    assert behind is not None
    command = configured(port, behind, folder)
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _answers(f"http://127.0.0.1:{port}/health"))
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("configured", [nginx, caddy, composed])
async def test_progress_passes_a_documented_proxy_before_the_answer(
    machine: Machine, configured: Configured, mode: str
) -> None:
    machine.models.script("*", Held())
    config = machine.folder / "pipelines.toml"
    model = f'[models.m]\nroutes = [{{ model = "openai/m", api_base = "{machine.models.url}" }}]\n'
    config.write_text(f'{model}[pipelines.p]\nsteps = [{{ step = "propose", agents = ["m"] }}]\n', "utf-8")
    told = anyio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.set()

    options = ("--http", "--port", "0", "--token-env", "TEAM", *machine.options)
    with (
        ServerProcess(*options, nursery=machine.nursery, TEAM=TOKEN) as server,
        proxied(server, configured, machine.folder / "proxy") as url,
    ):
        assert httpx2.post(url, json={}, timeout=10).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=30) as client,
            anyio.create_task_group() as tasks,
        ):
            answers: list[str] = []

            async def ask() -> None:
                answers.append(text(await client.call_tool("p", {"question": "Why?"}, progress_callback=hear)))

            tasks.start_soon(ask)
            with anyio.fail_after(20):
                await told.wait()
            assert answers == []
            machine.models.release()
    assert "answer 1 from m" in answers[0]
