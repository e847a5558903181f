"""API keys from a file and from the system's keychain, as commands and servers use them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.cli.test_cli import environ
from tests.support.model_server import ModelServer, Status
from tests.support.nursery import Nursery
from tests.support.serving import content, parameters

__all__ = ["environ"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked, and files have a mode")
KEY = "Zx8kW2pLq0"
OTHER = "Yt7jV3oMr1"
BACKEND = """
import json, os
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

class InFile(KeyringBackend):
    priority = 1
    path = os.environ["TEST_KEYCHAIN"]

    def all(self):
        return json.load(open(self.path))

    def get_password(self, service, username):
        with open(self.path + ".asked", "a") as asked:
            print(username, file=asked)
        held = self.all()
        if "locked" in held:
            raise KeyringLocked("the user declined")
        return held.get(service + "/" + username)

    def set_password(self, service, username, password):
        json.dump({**self.all(), service + "/" + username: password}, open(self.path, "w"))

    def delete_password(self, service, username):
        held = self.all()
        if held.pop(service + "/" + username, None) is None:
            raise PasswordDeleteError("no such password")
        json.dump(held, open(self.path, "w"))
"""
NEEDS_KEYRING = pytest.mark.skipif(
    find_spec("keyring") is None, reason="THE KEYCHAIN IS NOT TESTED: install the package keyring"
)


class User:
    """A user with a file of keys, a keychain, and a pipeline whose only model needs HOUSE_KEY."""

    def __init__(self, nursery: Nursery, models: ModelServer, folder: Path, environ: dict[str, str]) -> None:
        self._nursery = nursery
        self.file = folder / "keys.env"
        self.keychain = folder / "keychain.json"
        self.keychain.write_text("{}")
        self.config = folder / "pipelines.toml"
        self.config.write_text(
            f"""models.m.routes = [{{ model = "openai/m", api_base = "{models.url}", api_key_env = "HOUSE_KEY" }}]
            pipelines.one = {{ description = "x", steps = [{{ step = "propose", agents = ["m"] }}] }}""",
            "utf-8",
        )
        (folder / "in_file.py").write_text(BACKEND)
        self.environ = {
            **environ,
            "MOA_MCP_CONFIG": str(self.config),
            "MOA_MCP_ENV_FILE": str(self.file),
            "PYTHONPATH": str(folder),
            "PYTHON_KEYRING_BACKEND": "in_file.InFile",
            "TEST_KEYCHAIN": str(self.keychain),
        }
        self._prelude = f"import sys; sys.path.insert(0, {str(folder)!r})"

    def writes(self, text: str, mode: int = 0o600) -> None:
        self.file.write_text(text)
        self.file.chmod(mode)

    def __call__(self, *arguments: str, said: str = "", **environ: str) -> Any:
        """Run a command. Nothing that it prints may hold a key."""
        done = self._nursery.run(*arguments, environ=self.environ | environ, prelude=self._prelude, said=said)
        assert KEY not in done.stdout + done.stderr
        return done

    def found(self, **environ: str) -> dict[str, str]:
        """Return where keys are, by name, as `check` reports it."""
        done = self("check", "--json", **environ)
        found: dict[str, str] = json.loads(done.stdout)["keys"]["found"]
        return found

    @property
    def asked(self) -> list[str]:
        """The names that the keychain was asked for."""
        path = Path(f"{self.keychain}.asked")
        return path.read_text().split() if path.exists() else []

    def keeps(self, **keys: str) -> None:
        self.keychain.write_text(json.dumps({f"moa-mcp/{name}": value for name, value in keys.items()}))


@pytest.fixture
def user(nursery: Nursery, serving: ModelServer, tmp_path: Path, environ: dict[str, str]) -> User:
    serving.clear()
    return User(nursery, serving, tmp_path, environ)


def sent(models: ModelServer) -> list[str]:
    return [each.headers["authorization"] for each in models.requests if each.body]


def test_a_call_uses_the_key_of_the_file(user: User, serving: ModelServer) -> None:
    user.writes(f"HOUSE_KEY='{KEY}'\n")
    done = user("ask", "one", "Why?", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert sent(serving) == [f"Bearer {KEY}"]


@pytest.mark.parametrize(("set_now", "key"), [(OTHER, OTHER), ("", KEY), (" ", KEY)])
def test_the_environment_has_precedence_over_the_file(user: User, serving: ModelServer, set_now: str, key: str) -> None:
    user.writes(f"HOUSE_KEY={KEY}")
    assert user("ask", "one", "Why?", "-q", HOUSE_KEY=set_now).returncode == 0
    assert sent(serving) == [f"Bearer {key}"]
    assert user.found(HOUSE_KEY=set_now) == {"HOUSE_KEY": "environment" if key == OTHER else "file"}


@pytest.mark.parametrize(
    "left", ["${env:HOUSE_KEY}", "${HOUSE_KEY}", "${HOUSE_KEY:-}", "$HOUSE_KEY", "{env:HOUSE_KEY}"]
)
def test_a_reference_that_a_client_did_not_replace_is_no_key(user: User, serving: ModelServer, left: str) -> None:
    user.writes(f"HOUSE_KEY={KEY}")
    assert user("ask", "one", "Why?", "-q", HOUSE_KEY=left).returncode == 0
    assert sent(serving) == [f"Bearer {KEY}"]
    user.writes("")
    assert user.found(HOUSE_KEY=left) == {}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_without_keys_in_its_environment_uses_those_of_the_file(
    user: User, serving: ModelServer
) -> None:
    user.writes(f"HOUSE_KEY={KEY}")
    start = parameters("--config", str(user.config), MOA_MCP_ENV_FILE=str(user.file))
    async with Client(start, read_timeout_seconds=20) as client:
        result = await client.call_tool("one", {"question": "Why?"})
    assert content(result)["status"] == "complete"
    assert sent(serving) == [f"Bearer {KEY}"]


def test_keys_of_the_file_are_masked_where_a_provider_quotes_them(user: User, serving: ModelServer) -> None:
    user.writes(f"HOUSE_KEY={OTHER}\nOPENAI_API_KEY={KEY}")
    user.config.write_text(user.config.read_text().replace("openai/m", "openai/quoting"))
    serving.script("quoting", Status(401, f"keys {KEY} and {OTHER} are not valid"))
    done = user("ask", "one", "Why?", "--json")
    assert done.returncode == 1
    assert "keys [key] and [key] are not valid" in done.stdout + done.stderr


def test_check_names_the_sources_of_keys(user: User) -> None:
    user.writes(f"HOUSE_KEY={KEY}\nPATHX=1")
    done = user("check", COLUMNS="200")
    assert "HOUSE_KEY (file)" in done.stdout
    assert str(user.file) in done.stdout
    assert done.stderr == f"Note: {user.file}: ignored, not a variable of a provider or route: PATHX\n"


@pytest.mark.parametrize("command", [("check", "one"), ("ask", "one", "Why?")])
def test_a_file_that_others_can_read_is_refused_with_its_remedy_and_the_command_goes_on(
    user: User, command: tuple[str, ...]
) -> None:
    user.writes(f"HOUSE_KEY={KEY}", 0o644)
    done = user(*command, COLUMNS="200")
    assert done.returncode == (1 if command[0] == "check" else 3)
    assert done.stderr.startswith(
        f"Note: {user.file}: other users have access to the file (mode 0644), so its keys are not used; "
        f"run chmod 600 {user.file}\n"
    )
    assert "set HOUSE_KEY" in " ".join((done.stdout + done.stderr).split())


def test_credentials_of_several_variables_reach_litellm(user: User) -> None:
    user.config.write_text(
        """models.m.routes = ["azure/m"]
        pipelines.one = { description = "x", steps = [{ step = "propose", agents = ["m"] }] }"""
    )
    user.writes(f"AZURE_API_KEY={KEY}\nAZURE_API_BASE=https://x.openai.azure.com\nAZURE_API_VERSION=2024-10-21")
    assert user("check", "one").returncode == 0
    assert user.found() == {"AZURE_API_KEY": "file", "AZURE_API_BASE": "file"}


def test_a_key_is_set_listed_used_and_removed(user: User, serving: ModelServer) -> None:
    stored = user("keys", "set", "HOUSE_KEY", said=f"{KEY}\n")
    assert (stored.returncode, stored.stdout) == (0, "")
    assert stored.stderr == f"HOUSE_KEY is stored in {user.file}.\n"
    assert oct(user.file.stat().st_mode)[-3:] == "600"
    assert user("keys").stdout == "HOUSE_KEY  file\n"
    assert user("ask", "one", "Why?", "-q").returncode == 0
    assert sent(serving) == [f"Bearer {KEY}"]
    assert user("keys", "remove", "HOUSE_KEY").stderr == f"HOUSE_KEY is removed from {user.file}.\n"
    assert user("keys", "list").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said", "fault"),
    [
        (("set", "HOUSE_KEY", KEY), "", "a key must not be an argument"),
        (("set", KEY), "x\n", "the name is not a variable of a provider or route"),
        (("set", f"sk-{KEY}"), "x\n", "the name is not that of an environment variable"),
        (("set", "OPEN_AI_KEY"), "x\n", "did you mean 'OPENAI_API_KEY'?"),
        (
            ("set", "HOUSE_KEY"),
            f"A_KEY=x\n\nHOUSE_KEY={KEY}\n",
            "stdin has 2 lines, and the value of HOUSE_KEY is one line",
        ),
        (("set", "HOUSE_KEY"), "\n", "the value of HOUSE_KEY is empty or has control characters"),
        (("set", "HOUSE_KEY"), f"{KEY}\x1b[A\n", "the value of HOUSE_KEY is empty or has control characters"),
        (("remove", "HOUSE_KEY"), "", "no such file"),
        (("remove", "HOUSE_KEY", "--keychain"), "", "the keychain can't be used"),
    ],
)
def test_what_is_no_key_is_refused(user: User, arguments: tuple[str, ...], said: str, fault: str) -> None:
    done = user("keys", *arguments, said=said)
    assert done.returncode == 2
    assert fault in done.stderr
    assert not user.file.exists()


def test_a_key_is_not_stored_where_others_can_read_it(user: User) -> None:
    user.writes("", 0o644)
    done = user("keys", "set", "HOUSE_KEY", said=f"{KEY}\n")
    assert done.returncode == 2
    assert f"run chmod 600 {user.file}" in done.stderr
    assert user.file.read_text() == ""


def test_a_file_that_is_not_utf8_is_refused_by_its_path_and_unchanged(user: User) -> None:
    user.writes("")
    user.file.write_bytes(b"A_KEY=caf\xe9\n")
    done = user("keys", "set", "HOUSE_KEY", said=f"{KEY}\n")
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {user.file}: not UTF-8 at byte 9; save the file as UTF-8\n")
    assert user.file.read_bytes() == b"A_KEY=caf\xe9\n"


def test_a_key_that_is_not_utf8_is_refused(user: User) -> None:
    binary = subprocess.run(
        [sys.executable, "-m", "moa_mcp", "keys", "set", "HOUSE_KEY"],
        env=user.environ | {"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONUTF8": "1"},
        input=b"caf\xe9\n",
        capture_output=True,
        check=False,
    )
    assert binary.returncode == 2
    assert binary.stderr.startswith(b"Error: the value of HOUSE_KEY is not UTF-8 at byte 3\n")


def test_a_key_is_refused_for_a_keychain_that_is_not_there(user: User) -> None:
    done = user(
        "keys",
        "set",
        "HOUSE_KEY",
        "--keychain",
        said=f"{KEY}\n",
        PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring",
    )
    assert done.returncode == 2
    assert "the keychain can't be used" in done.stderr


@NEEDS_KEYRING
def test_a_key_in_the_keychain_is_set_used_and_removed(user: User, serving: ModelServer) -> None:
    stored = user("keys", "set", "HOUSE_KEY", "--keychain", said=f"{KEY}\n")
    assert (stored.returncode, stored.stderr) == (0, "HOUSE_KEY is stored in the keychain.\n")
    assert json.loads(user.keychain.read_text()) == {"moa-mcp/HOUSE_KEY": KEY}
    assert user("keys", "list").stdout == "HOUSE_KEY  keychain\n"
    assert user.found() == {"HOUSE_KEY": "keychain"}
    assert user("ask", "one", "Why?", "-q").returncode == 0
    assert sent(serving) == [f"Bearer {KEY}"]
    removed = user("keys", "remove", "HOUSE_KEY", "--keychain")
    assert (removed.returncode, removed.stderr) == (0, "HOUSE_KEY is removed from the keychain.\n")


@NEEDS_KEYRING
def test_the_keychain_is_asked_only_for_a_key_that_is_needed_and_missing(user: User, serving: ModelServer) -> None:
    user.keeps(HOUSE_KEY=KEY, OPENAI_API_KEY=OTHER)
    user.writes(f"HOUSE_KEY={OTHER}")
    assert user.found() == {"HOUSE_KEY": "file"}
    assert user.found(HOUSE_KEY="x") == {"HOUSE_KEY": "environment"}
    assert user("check", "--offline").returncode == 0
    assert user.asked == []
    user.file.unlink()
    user.environ["MOA_MCP_ENV_FILE"] = "none"
    assert user("ask", "one", "Why?", "-q").returncode == 0
    assert user.asked == ["HOUSE_KEY"]
    assert sent(serving) == [f"Bearer {KEY}"]


@NEEDS_KEYRING
def test_a_locked_keychain_is_reported_once_and_the_command_goes_on(user: User) -> None:
    user.keychain.write_text('{"locked": ""}')
    user.config.write_text(
        """models.m.routes = ["groq/m", "mistral/m", { model = "openai/m", api_base = "http://127.0.0.1:9/v1" }]
        pipelines.one = { description = "x", steps = [{ step = "propose", agents = ["m"] }] }"""
    )
    user.writes("")
    done = user("check", "one")
    assert done.returncode == 0
    assert done.stderr == "the keychain can't be used: the user declined; keys in it are not used\n"
    assert user.asked == ["GROQ_API_KEY"]


@NEEDS_KEYRING
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_uses_the_key_of_the_keychain(user: User, serving: ModelServer) -> None:
    user.keeps(HOUSE_KEY=KEY)
    own = {name: value for name, value in user.environ.items() if name.startswith(("PYTHON_", "TEST_"))}
    path = ":".join([user.environ["PYTHONPATH"], *filter(None, sys.path)])
    start = parameters("--config", str(user.config), MOA_MCP_ENV_FILE="none", PYTHONPATH=path, nursery=None, **own)
    async with Client(start, read_timeout_seconds=20) as client:
        result = await client.call_tool("one", {"question": "Why?"})
    assert content(result)["status"] == "complete"
    assert sent(serving) == [f"Bearer {KEY}"]
