"""The compose file of a team's server: what it promises, without an engine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from moa_mcp.routing.environment import is_used
from tests.project.structure import ROOT

FOLDER = ROOT / "packaging" / "compose"
FILE = FOLDER / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if "moa-mcp/moa-mcp" in each["image"]}


def test_there_is_a_database_two_servers_workers_and_a_proxy() -> None:
    assert set(OURS) == {"server-1", "server-2", "worker"}
    assert {*SERVICES} - {*OURS} == {"database", "proxy"}
    assert OURS["worker"]["deploy"]["replicas"] == 2
    assert all(each["restart"] == "unless-stopped" for each in SERVICES.values())
    assert SERVICES["database"]["volumes"] == ["database:/var/lib/postgresql/data"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_stopped_after_its_drain_and_starts_after_the_database(name: str) -> None:
    service = OURS[name]
    (drain,) = [re.fullmatch(r"--drain=(\d+)", word) for word in service["command"] if word.startswith("--drain")]
    assert drain is not None
    assert int(service["stop_grace_period"].removesuffix("s")) >= int(drain[1]) + 10
    assert service["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "healthcheck" in SERVICES["database"]


def test_secrets_are_files_and_only_the_proxy_is_published() -> None:
    for service in SERVICES.values():
        names = service.get("environment", {})
        assert not [name for name in names if is_used(name, {}) or name.endswith("PASSWORD")]
        assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
    assert all(set(each) == {"file"} for each in COMPOSE["secrets"].values())
    assert [name for name, each in SERVICES.items() if "ports" in each] == ["proxy"]


@pytest.mark.parametrize("name", OURS)
def test_the_password_of_the_database_reaches_the_command_from_its_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "database").write_text("the password", "utf-8")
    script = OURS[name]["entrypoint"][2].replace("$$", "$").replace("/run/secrets", str(tmp_path))
    assert "exec moa-mcp" in script
    shown = script.replace("exec moa-mcp", "exec env sh -c 'echo \"$PGPASSWORD|$0|$@\"'")
    words = [*OURS[name]["entrypoint"][:2], shown, *OURS[name]["entrypoint"][3:], *OURS[name]["command"]]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"the password|{OURS[name]['command'][0]}|{' '.join(OURS[name]['command'][1:])}\n"


def test_the_proxy_reaches_both_servers_and_asks_whether_they_are_ready() -> None:
    caddyfile = (FOLDER / "Caddyfile").read_text("utf-8")
    ports = {each["command"][3] for name, each in OURS.items() if name.startswith("server")}
    assert ports == {"--port=8765"}
    assert "reverse_proxy server-1:8765 server-2:8765 {" in caddyfile
    assert "health_uri /ready" in caddyfile
