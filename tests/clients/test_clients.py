"""Where the files of MCP clients are on each platform, and which clients are found."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from moa_mcp.clients.known import CLIENTS

BY_NAME = {each.name: each for each in CLIENTS}
WINDOWS = {"USERPROFILE": "C:/Users/u", "APPDATA": "C:/Users/u/AppData/Roaming"}


@pytest.mark.parametrize(
    ("name", "platform", "environ", "path"),
    [
        (
            "claude-desktop",
            "darwin",
            {"HOME": "/u"},
            "/u/Library/Application Support/Claude/claude_desktop_config.json",
        ),
        ("claude-desktop", "win32", WINDOWS, "C:/Users/u/AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", {"USERPROFILE": "C:/u"}, "C:/u/AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-code", "darwin", {"HOME": "/u"}, "/u/.claude.json"),
        ("claude-code", "linux", {"HOME": "/u", "CLAUDE_CONFIG_DIR": "/c"}, "/c/.claude.json"),
        ("cursor", "win32", WINDOWS, "C:/Users/u/.cursor/mcp.json"),
        ("vscode", "darwin", {"HOME": "/u"}, "/u/Library/Application Support/Code/User/mcp.json"),
        ("vscode", "linux", {"HOME": "/u", "XDG_CONFIG_HOME": "/x"}, "/x/Code/User/mcp.json"),
        ("codex", "linux", {"HOME": "/u", "CODEX_HOME": "/c"}, "/c/config.toml"),
        ("codex", "darwin", {"HOME": "/u", "CODEX_HOME": ""}, "/u/.codex/config.toml"),
        ("zed", "darwin", {"HOME": "/u"}, "/u/.config/zed/settings.json"),
        ("zed", "win32", WINDOWS, "C:/Users/u/AppData/Roaming/Zed/settings.json"),
        ("goose", "darwin", {"HOME": "/u"}, "/u/.config/goose/config.yaml"),
        ("goose", "win32", WINDOWS, "C:/Users/u/AppData/Roaming/Block/goose/config/config.yaml"),
        ("opencode", "win32", WINDOWS, "C:/Users/u/.config/opencode/opencode.jsonc"),
    ],
)
def test_a_file_is_where_the_client_looks_for_it(name: str, platform: str, environ: dict[str, str], path: str) -> None:
    assert PurePosixPath(BY_NAME[name].path(environ, platform)) == PurePosixPath(path)


def test_of_several_files_the_one_that_exists_is_used(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    (tmp_path / "opencode").mkdir()
    assert BY_NAME["opencode"].path(environ, "linux").name == "opencode.jsonc"
    (tmp_path / "opencode" / "opencode.json").touch()
    assert BY_NAME["opencode"].path(environ, "linux").name == "opencode.json"


def test_a_client_is_found_by_its_folder_or_its_command_but_not_by_the_home(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}
    assert not any(each.is_found(environ, "linux") for each in CLIENTS)
    (tmp_path / ".lmstudio").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").touch(0o755)
    assert {each.name for each in CLIENTS if each.is_found(environ, "linux")} == {"lm-studio", "claude-code"}


def test_names_of_clients_are_unique_and_in_lower_case() -> None:
    assert len(BY_NAME) == len(CLIENTS)
    assert all(name == name.lower() for name in BY_NAME)
