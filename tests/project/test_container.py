"""The image of the server: its Dockerfile, and its commands as they run in the container, without an engine."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.project.structure import ROOT
from tests.support.distributions import built
from tests.support.dockerfile import Stage, stages
from tests.support.serving import MEASURED
from tools import bundle

DOCKERFILE = ROOT / "packaging" / "Dockerfile"
BUILD, IMAGE = stages(DOCKERFILE)
PREFIX, DATA = "/opt/moa-mcp", "/data"
TOKEN = "the team's token"
CLIENT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT}
READS_ALL = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search")
"""The interpreter may be where only root can read; the user of the container still can't write anywhere."""


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_runs_as_a_user_without_rights_and_keeps_runs_in_a_volume() -> None:
    user = IMAGE.only("USER").split(":")[0]
    assert user.isdecimal()
    assert int(user) > 0
    assert IMAGE.only("VOLUME") == DATA
    assert IMAGE.variables("ENV")["MOA_MCP_JOURNAL"].startswith(f"{DATA}/")


def test_the_image_has_no_keys_and_takes_the_wheel_only() -> None:
    for stage in (BUILD, IMAGE):
        assert not [name for name in stage.variables("ENV") if re.search("KEY|TOKEN|SECRET", name)]
        assert stage.all("ARG") == []
        assert ":latest" not in stage.image
    assert [*BUILD.all("COPY"), *IMAGE.all("COPY")] == [
        "dist/moa_mcp-*.whl /wheel/",
        f"--from=build {PREFIX} {PREFIX}",
    ]
    ignored = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert [line for line in ignored if not line.startswith("#")] == ["*", "!dist/*.whl"]


def test_the_labels_name_the_repository_and_the_entry_in_the_registry() -> None:
    about = bundle.project()
    assert IMAGE.variables("LABEL") == {
        "org.opencontainers.image.source": about["urls"]["Source"],
        "org.opencontainers.image.licenses": about["license"],
        "io.modelcontextprotocol.server.name": bundle.registry_name(about),
    }


class Container:
    """The commands of the image, with other folders instead of those of the image."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._prefix = folder / "prefix"
        self._wheels = folder / "wheel"
        self._user = IMAGE.only("USER").split(":")[0]

    def build(self) -> None:
        """Install the wheel as the image does, and let it find its dependencies where this interpreter has them."""
        self._wheels.mkdir()
        built("wheel", self._wheels)
        own_folders = BUILD.only("RUN").replace(PREFIX, str(self._prefix)).replace("/wheel/", f"{self._wheels}/")
        offline = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run(["sh", "-ec", own_folders], env=environ | offline | {"PATH": path}, check=True, timeout=120)
        (packages,) = self._prefix.glob("lib/python3*/site-packages")
        (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()), "utf-8")
        self.data.mkdir()
        if os.geteuid() == 0:
            os.chown(self.data, int(self._user), int(self._user))

    def start(self, command: list[str], **environ: str) -> subprocess.Popen[str]:
        """Start a command as the user of the image, with its environment and nothing of ours."""
        own = IMAGE.variables("ENV") | {"HOME": DATA}
        mapped = {
            name: value.replace(PREFIX, str(self._prefix)).replace(DATA, str(self.data)).replace("$PATH", os.defpath)
            for name, value in own.items()
        }
        unprivileged = ["setpriv", f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups", *READS_ALL]
        program = shutil.which(command[0], path=mapped["PATH"]) or command[0]
        return subprocess.Popen(
            [*(unprivileged if os.geteuid() == 0 else []), program, *command[1:]],
            env=mapped | MEASURED | environ,
            cwd=self.data,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: list[str], **environ: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and what it wrote to stderr."""
        with self.start(command, **environ) as process:
            _, errors = process.communicate(timeout=60)
        return process.returncode, errors


@pytest.fixture(name="container", scope="module")
def _container() -> Iterator[Container]:
    if sys.platform != "linux" or (os.geteuid() == 0 and shutil.which("setpriv") is None):
        pytest.skip("runs the commands of a Linux image as another user, with setpriv")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        container = Container(Path(folder))
        container.build()
        yield container


def started() -> list[str]:
    """Return the command of the image, on a free port."""
    command = [*IMAGE.command("ENTRYPOINT"), *IMAGE.command("CMD")]
    command[command.index("--port") + 1] = "0"
    return command


def test_the_server_does_not_start_without_a_token(container: Container) -> None:
    code, errors = container.run(started())
    assert code == 2
    assert "MOA_MCP_TOKEN" in errors


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_server_answers_with_the_token_only_is_healthy_and_stores_runs_in_the_volume(
    container: Container,
) -> None:
    with ExitStack() as stack:
        process = stack.enter_context(container.start(started(), MOA_MCP_TOKEN=TOKEN, MOA_MCP_OFFLINE="1"))
        stack.callback(process.kill)
        assert process.stderr
        port = next(found[1] for line in process.stderr if (found := re.search(r"http://0\.0\.0\.0:(\d+)/mcp", line)))
        url = f"http://127.0.0.1:{port}/mcp"
        headers = {"Accept": "application/json, text/event-stream"}
        assert httpx2.post(url, json=INITIALIZE, headers=headers).status_code == 401
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx2.post(url, json=INITIALIZE, headers=headers | authorized).status_code == 200
        async with (
            httpx2.AsyncClient(headers=authorized) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            result = await client.call_tool("vote", {"question": "What is 17 * 23?"})
        assert not result.is_error
        health = [word.replace("8765", port) for word in IMAGE.command("HEALTHCHECK")]
        assert container.run(health) == (0, "")
        assert (container.data / "journal.sqlite").is_file()
        process.terminate()
        process.wait(20)
    assert container.run(health)[0] == 1


def test_the_ports_of_the_image_agree() -> None:
    command = IMAGE.command("CMD")
    port = command[command.index("--port") + 1]
    assert IMAGE.only("EXPOSE") == port
    assert f"http://127.0.0.1:{port}/health" in IMAGE.command("HEALTHCHECK")[-1]


def test_a_dockerfile_is_read_in_stages(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text('FROM a AS b\nRUN x \\\n  && y\n# no\nFROM c\nENV A="1 2" B=3\nCMD ["d", "e"]\n', "utf-8")
    first, second = stages(path)
    assert first == Stage("a AS b", (("RUN", "x    && y"),))
    assert second.variables("ENV") == {"A": "1 2", "B": "3"}
    assert second.command("CMD") == ["d", "e"]
