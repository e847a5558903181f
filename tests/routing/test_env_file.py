from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from moa_mcp.routing import env_file
from moa_mcp.routing.environment import is_used
from moa_mcp.routing.routes import Route

KEY = "Zx8kW2pLq0"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="files have no mode there")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is read; it does not exist yet."""
    path = tmp_path / "own" / "keys.env"
    monkeypatch.setenv("MOA_MCP_ENV_FILE", str(path))
    return path


def written(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("A_KEY=x", {"A_KEY": "x"}),
        ("\ufeffA_KEY=x\r\nB_KEY=y\r\n", {"A_KEY": "x", "B_KEY": "y"}),
        ("# A_KEY=no\n\n  export A_KEY = x  # a comment\n", {"A_KEY": "x"}),
        ("A_KEY='x # y'\nB_KEY=\"x # y\"\nC_KEY=x#y", {"A_KEY": "x # y", "B_KEY": "x # y", "C_KEY": "x#y"}),
        ("A_KEY='it\\'s \\\\'", {"A_KEY": "it's \\"}),
        ('A_KEY=x\nB_KEY=$A_KEY\nC_KEY="${A_KEY}"', {"A_KEY": "x", "B_KEY": "$A_KEY", "C_KEY": "${A_KEY}"}),
        ("A_KEY=x\nA_KEY=y", {"A_KEY": "y"}),
        ("A_KEY=\nB_KEY=' '", {}),
        ("A_KEY=a=b==", {"A_KEY": "a=b=="}),
    ],
)
def test_variables_are_read_as_shells_and_other_tools_write_them(path: Path, text: str, values: dict[str, str]) -> None:
    written(path, text)
    found = env_file.read()
    assert (found.values, found.problems) == (values, ())


def test_bad_lines_are_named_by_number_and_the_others_are_read(path: Path) -> None:
    bad = [f"sk {KEY}", f'A_KEY="{KEY}', f"={KEY}", f"1A={KEY}", KEY, f"A_KEY='{KEY}' {KEY}", f"A_KEY={KEY}\0"]
    written(path, "\n\n".join(["B_KEY=x", *bad, "C_KEY=y"]))
    found = env_file.read()
    assert found.values == {"B_KEY": "x", "C_KEY": "y"}
    assert found.problems == (f"{path}, lines 3, 5, 7, 9, 11, 13, 15: not NAME=value, ignored",)
    assert KEY not in repr(found)


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_its_owner_alone_can_read_is_read(path: Path, mode: int) -> None:
    written(path, "A_KEY=x", mode)
    assert env_file.read().values == {"A_KEY": "x"}


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o601, 0o666])
def test_a_file_that_others_have_access_to_is_not_read(path: Path, mode: int) -> None:
    written(path, f"A_KEY={KEY}", mode)
    found = f"{path}: other users have access to the file (mode {mode:04o}), so its keys are not used"
    assert env_file.read() == env_file.EnvFile(path, {}, (f"{found}; run chmod 600 {path}",))


@POSIX
def test_a_file_of_another_user_is_not_read(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    written(path, f"A_KEY={KEY}")
    os.chown(path, 12345, -1)
    (problem,) = env_file.read().problems
    assert "belongs to user ID 12345, not to user ID 0, so its keys are not used" in problem


@POSIX
def test_what_is_no_file_is_not_read(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path, 0o600)
    assert env_file.read().problems == (f"{path}: not a regular file, so its keys are not used",)


def test_a_file_in_another_encoding_is_not_read(path: Path) -> None:
    written(path, "A_KEY=ü".encode("latin-1"))
    assert env_file.read().problems == (f"{path}: not UTF-8, so its keys are not used; save the file as UTF-8",)


def test_a_named_file_that_is_missing_is_reported_and_the_usual_one_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert env_file.read().problems == (f"{path}: no such file (set by MOA_MCP_ENV_FILE)",)
    monkeypatch.delenv("MOA_MCP_ENV_FILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert env_file.read() == env_file.EnvFile()


@POSIX
def test_a_variable_is_written_for_its_owner_alone_and_other_lines_are_kept(path: Path) -> None:
    assert env_file.write("A_KEY", "it's $x \\ #") == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    written(path, f"# mine\nexport B_KEY=b\n{path.read_text()}C_KEY=c")
    env_file.write("A_KEY", "other")
    assert env_file.read().values == {"A_KEY": "other", "B_KEY": "b", "C_KEY": "c"}
    env_file.write("B_KEY", None)
    assert path.read_text() == "# mine\nC_KEY=c\nA_KEY='other'\n"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@POSIX
@pytest.mark.parametrize("value", ["it's $x \\ #", '"', "'", "\\", "\\'", "a b", "ü€", "#", "\\n"])
def test_every_value_is_read_as_it_was_written(path: Path, value: str) -> None:
    env_file.write("A_KEY", value)
    assert env_file.read().values == {"A_KEY": value}


@POSIX
def test_nothing_is_written_to_a_file_that_others_can_read(path: Path) -> None:
    written(path, "B_KEY=b\n", 0o644)
    with pytest.raises(ValueError, match=f"chmod 600 {path}"):
        env_file.write("A_KEY", KEY)
    assert path.read_text() == "B_KEY=b\n"


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("OPENAI_API_KEY", True),
        ("OPENAI_BASE_URL", True),
        ("AWS_REGION", True),
        ("AZURE_API_VERSION", True),
        ("VERTEXAI_LOCATION", True),
        ("OLLAMA_API_BASE", True),
        ("VENICE_AI_API_KEY", True),
        ("MOA_MCP_TOKEN", True),
        ("HOUSE_PASS", True),
        ("OWN_LOGIN", True),
        ("CODEX_ACCESS_TOKEN", True),
        ("PATH", False),
        ("PYTHONPATH", False),
        ("LD_PRELOAD", False),
        ("HTTPS_PROXY", False),
        ("MOA_MCP_CONFIG", False),
        ("OPENAIKEY", False),
    ],
)
def test_only_variables_of_providers_and_routes_are_used(name: str, used: bool) -> None:
    program = Route.model_validate({"command": "own", "env": ["OWN_LOGIN"]})
    routes = (Route(model="openai/x", api_key_env="HOUSE_PASS"), program)
    assert is_used(name, {"m": routes}) == used
