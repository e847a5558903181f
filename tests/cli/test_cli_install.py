"""`moa-mcp install` and `uninstall`, in a home with the files of MCP clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from mcp import Client, StdioServerParameters

from moa_mcp.clients.known import CLIENTS
from tests.cli.test_cli import Terminal, environ
from tests.support.client_files import FILES
from tests.support.jsonc_texts import value_of
from tests.support.nursery import Nursery
from tests.support.serving import MEASURED

__all__ = ["environ"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked; the paths are those of Linux")
KEY = "Zx8kW2pLq0"
TABLES = {each.name: each.key for each in CLIENTS}
NAMES = sorted(FILES)
BY_VALUE = ["claude-desktop", "cline", "lm-studio", "zed"]


class Home:
    """A user with a key in the environment, and with files of MCP clients."""

    def __init__(self, nursery: Nursery, folder: Path, environ: dict[str, str]) -> None:
        self._nursery = nursery
        self.folder = folder
        self.environ = environ | {
            "HOME": str(folder),
            "PATH": str(folder / "bin"),
            "OPENAI_API_KEY": KEY,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        del self.environ["MOA_MCP_JOURNAL"]

    def has(self, *names: str) -> None:
        """Write the files of clients as they were before."""
        for name in names:
            path = self.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FILES[name].text.encode())

    def path(self, name: str) -> Path:
        return self.folder / FILES[name].path

    def text(self, name: str) -> str:
        return self.path(name).read_bytes().decode()

    def servers(self, name: str) -> dict[str, Any]:
        """Return the servers in the file of a client."""
        text = self.text(name)
        read = {"codex": tomllib.loads, "goose": yaml.safe_load}.get(name, value_of)
        servers: dict[str, Any] = read(text)[TABLES[name]]
        return servers

    def __call__(self, *arguments: str, prelude: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command. Nothing that it prints may hold a key."""
        done = self._nursery.run(*arguments, environ=self.environ | environ, prelude=prelude)
        assert KEY not in done.stdout + done.stderr
        return done

    def at_terminal(self, *arguments: str) -> Terminal:
        return Terminal(self.environ, *arguments, nursery=self._nursery)

    @property
    def files(self) -> dict[str, bytes]:
        """All files with their content."""
        return {
            str(each.relative_to(self.folder)): each.read_bytes() for each in self.folder.rglob("*") if each.is_file()
        }


@pytest.fixture
def home(nursery: Nursery, tmp_path: Path, environ: dict[str, str]) -> Home:
    return Home(nursery, tmp_path, environ)


def test_there_is_a_file_for_every_known_client() -> None:
    assert set(FILES) == set(TABLES)


@pytest.mark.parametrize("name", NAMES)
def test_a_server_is_added_once_and_removed_so_that_the_file_is_the_same(home: Home, name: str) -> None:
    home.has(name)
    before = home.files
    done = home("install", name, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Wrote {home.path(name)}" in done.stderr
    changed = home.text(name)
    servers = home.servers(name)
    assert servers.keys() == {FILES[name].kept, "moa"} - {""}
    assert Path(command_of(servers["moa"])).is_absolute()
    assert KEY not in changed
    assert ("OPENAI_API_KEY" in changed) == (name not in BY_VALUE)
    again = home("install", name, "--yes")
    assert "already has this entry" in again.stderr
    assert home.text(name) == changed
    assert home("uninstall", "--yes").returncode == 0
    assert home.files == before


def command_of(entry: dict[str, Any]) -> str:
    command = entry.get("command", entry.get("cmd"))
    return str(command[0] if isinstance(command, list) else command)


@pytest.mark.parametrize("name", NAMES)
def test_a_removed_server_leaves_later_changes_of_the_file(home: Home, name: str) -> None:
    home.has(name)
    home("install", name, "--yes")
    comment = "# later\n" if name in {"codex", "goose"} else "// later\n"
    home.path(name).write_text(comment + home.text(name))
    assert home("uninstall", name, "--yes").returncode == 0
    left = home.text(name)
    assert left == comment + FILES[name].text if FILES[name].kept else value_of(left) == {"mcpServers": {}}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_install_created_is_deleted(home: Home, name: str) -> None:
    assert home("install", name, "--yes").returncode == 0
    assert len(home.files) == 1
    assert home("uninstall", name, "--yes").returncode == 0
    assert home.files == {}


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("claude-desktop", {"args": []}),
        ("claude-code", {"type": "stdio", "args": [], "env": {"OPENAI_API_KEY": "${OPENAI_API_KEY:-}"}}),
        ("cursor", {"args": [], "env": {"OPENAI_API_KEY": "${env:OPENAI_API_KEY}"}}),
        ("vscode", {"type": "stdio", "args": [], "env": {"OPENAI_API_KEY": "${env:OPENAI_API_KEY}"}}),
        ("codex", {"args": [], "env_vars": ["OPENAI_API_KEY"]}),
        ("gemini", {"args": [], "env": {"OPENAI_API_KEY": "${OPENAI_API_KEY}"}}),
        ("windsurf", {"args": [], "env": {"OPENAI_API_KEY": "${env:OPENAI_API_KEY}"}}),
        ("zed", {"source": "custom", "args": []}),
        ("opencode", {"type": "local", "enabled": True, "environment": {"OPENAI_API_KEY": "{env:OPENAI_API_KEY}"}}),
    ],
)
def test_the_entry_has_the_shape_that_the_client_documents(home: Home, name: str, entry: dict[str, Any]) -> None:
    home.has(name)
    home("install", name, "--yes")
    written = home.servers(name)["moa"]
    command = written.pop("command")
    assert written == entry
    assert isinstance(command, list) == (name == "opencode")


def test_without_names_the_clients_that_are_found_get_the_server(home: Home) -> None:
    home.has("cursor", "codex")
    (home.folder / "bin").mkdir()
    (home.folder / "bin" / "gemini").touch(0o755)
    assert home("install", "--yes").returncode == 0
    assert {name for name in FILES if home.path(name).exists()} == {"cursor", "codex", "gemini"}


def test_without_a_client_the_known_ones_are_named(home: Home) -> None:
    done = home("install", "--yes")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no MCP client was found\nName one: moa-mcp install CLIENT. Clients: claude-")


def test_an_unknown_client_is_refused_with_the_nearest_name(home: Home) -> None:
    done = home("install", "cursr", "--yes")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: there is no client 'cursr'; did you mean 'cursor'?\nClients: ")


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_without_a_terminal_it_asks_for_an_option(home: Home, command: str) -> None:
    done = home(command)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {command} asks questions, which needs a terminal\nAdd --yes")


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("cursor", '{"mcpServers": {\n  "a": 1\n  "b": 2\n}}', "line 3, column 3: expected a comma or }"),
        ("codex", 'model = "x"\nother =\n', "line 2, column 8: Invalid value"),
        ("goose", "a: 1\n b: 2\n", "line 2, column 3: mapping values are not allowed here"),
        ("zed", "[]", "line 1, column 1: the file is not an object"),
    ],
)
def test_a_broken_file_is_refused_by_line_and_column_and_the_others_are_changed(
    home: Home, name: str, text: str, fault: str
) -> None:
    home.has(name, "gemini")
    home.path(name).write_text(text)
    for command in ("install", "uninstall"):
        done = home(command, "--yes")
        assert done.returncode == 2
        assert f"Error: {home.path(name)}: {fault}\nThe file is unchanged." in done.stderr
        assert home.text(name) == text
        assert ("moa" in home.servers("gemini")) == (command == "install")


def test_a_file_that_is_not_utf8_is_refused(home: Home) -> None:
    home.has("cursor")
    home.path("cursor").write_bytes(b'{\n "a": "\xe9"}')
    done = home("install", "cursor", "--yes")
    assert done.returncode == 2
    assert f"Error: {home.path('cursor')}: line 2, column 8: not UTF-8\n" in done.stderr


def test_a_dry_run_shows_the_change_without_values_of_keys_and_writes_nothing(home: Home) -> None:
    home.has("cursor")
    secret = "tok-in-the-file-77"
    text = '{"mcpServers": {\n  "a": {"command": "x", "env": {"A_TOKEN": "SECRET"}}\n}}'
    home.path("cursor").write_text(text.replace("SECRET", secret))
    before = home.files
    done = home("install", "cursor", "claude-desktop", "--dry-run", "--with-keys")
    assert done.returncode == 0
    assert secret not in done.stdout
    assert '+  "moa": {' in done.stdout
    assert '"OPENAI_API_KEY": "[key]"' in done.stdout
    assert home.files == before


def test_print_writes_the_entry_alone_to_stdout(home: Home) -> None:
    home.has("cursor")
    before = home.files
    done = home("install", "cursor", "--print")
    assert json.loads(done.stdout)["mcpServers"].keys() == {"moa"}
    assert done.stderr == f"Cursor, {home.path('cursor')}:\n"
    assert tomllib.loads(home("install", "codex", "--print").stdout)["mcp_servers"]["moa"]["args"] == []
    assert home.files == before


def test_links_install_the_entry_without_values_of_keys(home: Home) -> None:
    done = home("install", "cursor", "vscode", "lm-studio", "goose", "--link")
    cursor, vscode, lm_studio, goose = done.stdout.splitlines()
    by_name = {"OPENAI_API_KEY": "${env:OPENAI_API_KEY}"}
    assert cursor.startswith("cursor://anysphere.cursor-deeplink/mcp/install?name=moa&config=")
    assert config_of(cursor)["env"] == by_name
    assert vscode.startswith("vscode:mcp/install?%7B")
    decoded = json.loads(unquote(vscode.partition("?")[2]))
    assert (decoded["name"], decoded["type"], decoded["env"]) == ("moa", "stdio", by_name)
    assert lm_studio.startswith("lmstudio://add_mcp?name=moa&config=")
    assert "env" not in config_of(lm_studio)
    assert goose.startswith("goose://extension?cmd=")
    assert home.files == {}


def config_of(link: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(b64decode(parse_qs(urlsplit(link).query)["config"][0]))
    return config


def test_a_client_without_links_is_refused(home: Home) -> None:
    done = home("install", "zed", "--link")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: no links install servers in Zed\nClients with links: cursor, vscode")


def test_the_entry_names_the_configuration_and_the_journal_by_absolute_paths(home: Home) -> None:
    config = home.folder / "own.toml"
    config.write_text('pipelines.p = { description = "x", steps = [{ step = "propose", agents = ["openai/x"] }] }')
    home("install", "cursor", "--yes", "--config", str(config), "--journal", "~/runs.db", MOA_MCP_ENV_FILE="none")
    entry = home.servers("cursor")["moa"]
    assert entry["args"] == ["--config", str(config), "--journal", str(home.folder / "runs.db")]
    assert entry["env"]["MOA_MCP_ENV_FILE"] == "none"


def test_the_command_is_the_one_on_the_path_if_it_is_of_this_installation(home: Home) -> None:
    (home.folder / "bin").mkdir()
    script = home.folder / "bin" / "moa-mcp"
    script.symlink_to(Path(sys.executable).parent / "moa-mcp")
    home("install", "cursor", "--yes")
    assert home.servers("cursor")["moa"]["command"] == str(script)
    script.unlink()
    script.touch(0o755)
    home("install", "cursor", "--yes")
    assert home.servers("cursor")["moa"]["command"] == str(Path(sys.executable).parent / "moa-mcp")


def test_without_a_script_the_command_is_the_interpreter(home: Home) -> None:
    home("install", "cursor", "--yes", prelude="import sys; sys.executable = '/opt/python'")
    entry = home.servers("cursor")["moa"]
    assert (entry["command"], entry["args"]) == ("/opt/python", ["-m", "moa_mcp"])


def test_in_an_environment_of_uvx_the_command_is_uvx(home: Home) -> None:
    (home.folder / "bin").mkdir()
    (home.folder / "bin" / "uvx").touch(0o755)
    home("install", "cursor", "--yes", prelude="import sys; sys.prefix = '/c/uv/archive-v0/x'")
    entry = home.servers("cursor")["moa"]
    assert (entry["command"], entry["args"]) == (str(home.folder / "bin" / "uvx"), ["moa-mcp"])


def test_a_file_that_can_not_be_read_or_written_is_refused(home: Home) -> None:
    home.path("cursor").mkdir(parents=True)
    assert f"Error: {home.path('cursor')} can't be read: " in home("install", "cursor", "--yes").stderr
    (home.folder / ".lmstudio").touch()
    assert f"Error: {home.path('lm-studio')} can't be " in home("install", "lm-studio", "--yes").stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_pipe_in_place_of_a_file_is_refused_without_reading_it(home: Home) -> None:
    home.path("cursor").parent.mkdir(parents=True)
    os.mkfifo(home.path("cursor"))
    refused = home("install", "cursor", "--yes")
    assert refused.returncode == 2
    assert f"{home.path('cursor')} can't be read: it is not a regular file" in refused.stderr


def test_an_older_backup_is_never_replaced_and_the_first_original_is_restored(home: Home) -> None:
    home.has("cursor")
    home("install", "cursor", "--yes")
    home("install", "cursor", "--yes", "--journal", "none")
    assert home.servers("cursor")["moa"]["args"] == ["--journal", "none"]
    assert set(home.files) == {f"{FILES['cursor'].path}{end}" for end in ("", ".bak", ".bak2")}
    assert "Restored" in home("uninstall", "cursor", "--yes").stderr
    assert home.text("cursor") == FILES["cursor"].text


def test_keys_that_the_server_finds_in_its_file_are_not_in_the_entry(home: Home) -> None:
    file = home.folder / "keys.env"
    file.touch(0o600)
    file.write_text(f"OPENAI_API_KEY={KEY}\n")
    assert home("install", "codex", "--yes", OPENAI_API_KEY="", MOA_MCP_ENV_FILE=str(file)).returncode == 0
    assert "OPENAI_API_KEY" not in home.text("codex")


def test_values_of_keys_are_written_only_if_asked_for_and_into_a_private_file(home: Home) -> None:
    done = home("install", "claude-desktop", "--yes")
    assert "  moa-mcp keys set OPENAI_API_KEY\n" in done.stderr
    assert KEY not in home.text("claude-desktop")
    home("uninstall", "--yes")
    home("install", "claude-desktop", "--yes", "--with-keys")
    assert home.servers("claude-desktop")["moa"]["env"] == {"OPENAI_API_KEY": KEY}
    assert home.path("claude-desktop").stat().st_mode & 0o777 == 0o600


def test_a_file_with_keys_that_others_can_read_is_reported_and_keeps_its_mode(home: Home) -> None:
    home.has("claude-desktop")
    home.path("claude-desktop").chmod(0o644)
    done = home("install", "claude-desktop", "--yes", "--with-keys")
    assert f"run chmod 600 {home.path('claude-desktop')}" in done.stderr
    assert home.path("claude-desktop").stat().st_mode & 0o777 == 0o644


def test_a_private_file_stays_private_and_a_link_stays_a_link(home: Home) -> None:
    home.has("claude-code")
    home.path("claude-code").chmod(0o600)
    real = home.folder / "dotfiles.json"
    home.path("claude-code").rename(real)
    home.path("claude-code").symlink_to(real)
    home("install", "claude-code", "--yes")
    assert "moa" in home.servers("claude-code")
    assert home.path("claude-code").is_symlink()
    assert {each.stat().st_mode & 0o777 for each in home.folder.glob("dotfiles*")} == {0o600}
    home("uninstall", "--yes")
    assert home.path("claude-code").is_symlink()
    assert real.read_text() == FILES["claude-code"].text


def test_at_a_terminal_each_change_is_confirmed(home: Home) -> None:
    home.has("cursor", "claude-desktop")
    terminal = home.at_terminal("install", "claude-desktop", "cursor")
    terminal.until("Claude Desktop can't read OPENAI_API_KEY from your environment")
    terminal.type("y\n")
    terminal.until("Add moa-mcp to Claude Desktop?")
    terminal.type("y\n")
    terminal.until("Add moa-mcp to Cursor?")
    terminal.type("n\n")
    assert terminal.until_end() == 1
    assert KEY not in terminal.shown
    assert home.servers("claude-desktop")["moa"]["env"] == {"OPENAI_API_KEY": KEY}
    assert home.text("cursor") == FILES["cursor"].text
    terminal = home.at_terminal("uninstall")
    terminal.until("Remove moa-mcp from Claude Desktop?")
    terminal.type("n\n")
    assert terminal.until_end() == 1
    assert "moa" in home.servers("claude-desktop")


def test_a_file_that_another_program_writes_meanwhile_is_left_alone(home: Home) -> None:
    home.has("cursor")
    terminal = home.at_terminal("install", "cursor")
    terminal.until("Add moa-mcp to Cursor?")
    home.path("cursor").write_text("{}")
    terminal.type("y\n")
    assert terminal.until_end() == 2
    assert "was changed by another program" in terminal.shown
    assert home.text("cursor") == "{}"


def test_uninstall_without_an_entry_changes_nothing(home: Home) -> None:
    home.has("cursor")
    done = home("uninstall", "--yes")
    assert (done.returncode, done.stderr) == (0, "No client has an entry for moa-mcp.\n")
    assert home.files == {FILES["cursor"].path: FILES["cursor"].text.encode()}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_client_starts_the_server_by_its_entry(home: Home) -> None:
    home("install", "claude-desktop", "--yes", "--journal", "none")
    entry = home.servers("claude-desktop")["moa"]
    own = {"HOME": str(home.folder), "PYTHONPATH": ":".join(filter(None, sys.path)), **MEASURED}
    start = StdioServerParameters(command=entry["command"], args=entry["args"], env=own)
    async with Client(start, read_timeout_seconds=20) as client:
        tools = (await client.list_tools()).tools
    assert "self_moa" in {each.name for each in tools}
