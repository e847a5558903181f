"""The workflows and forms of the repository: least rights, fixed actions, the Python versions that are promised."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project.structure import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = {path.stem: path for path in sorted((GITHUB / "workflows").glob("*.yml"))}
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SOURCE = PROJECT["urls"]["Source"]
WRITERS = {
    ("docs", "publish"): {"id-token", "pages"},
    ("release", "pypi"): {"id-token"},
    ("release", "attest"): {"attestations", "id-token"},
    ("release", "image"): {"attestations", "id-token", "packages"},
    ("release", "github"): {"contents"},
}
"""The jobs that may write, and what."""


def read(path: Path) -> dict[Any, Any]:
    """Return a YAML file. Its key `on` is read as true."""
    data: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return data


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each job with the names of its workflow and its own."""
    for name, path in WORKFLOWS.items():
        yield from ((name, job, content) for job, content in read(path)["jobs"].items())


def program(name: str) -> str:
    """Return the path of a linter, or skip the test."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def lint(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    lint(program("zizmor"), "--offline", "--no-progress", GITHUB)


def test_actionlint_finds_nothing() -> None:
    lint(program("actionlint"), *WORKFLOWS.values())


def test_actions_are_fixed_to_a_commit_and_name_their_version() -> None:
    used = [
        line.split("uses:")[1].strip()
        for path in WORKFLOWS.values()
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    outside = [each for each in used if not each.startswith("$/")]
    assert [each for each in outside if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []
    assert len(outside) > 10
    versions = {each.partition("@")[0]: set[str]() for each in outside}
    for each in outside:
        versions[each.partition("@")[0]].add(each.partition("@")[2])
    assert [name for name, found in versions.items() if len(found) > 1] == []


def test_only_the_jobs_that_publish_may_write() -> None:
    assert all(read(path)["permissions"] == {} for path in WORKFLOWS.values())
    writing = {
        (workflow, name): {right for right, level in job["permissions"].items() if level == "write"}
        for workflow, name, job in jobs()
    }
    assert {key: rights for key, rights in writing.items() if rights} == WRITERS


def test_every_job_ends_in_time_and_keeps_no_credentials() -> None:
    for _, name, job in jobs():
        assert "uses" in job or job["timeout-minutes"] <= 90, name
        for step in job.get("steps", ()):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


def test_the_wheel_is_tested_on_the_pythons_of_the_classifiers_before_it_is_published() -> None:
    tested = read(WORKFLOWS["wheel"])["jobs"]["test"]["strategy"]["matrix"]["python"]
    promised = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert tested == promised
    release = read(WORKFLOWS["release"])["jobs"]
    assert (release["pypi"]["needs"], release["attest"]["needs"], release["image"]["needs"]) == (
        "wheel",
        "wheel",
        "pypi",
    )
    assert release["github"]["needs"] == ["pypi", "attest"]


def test_the_scripts_that_workflows_run_exist() -> None:
    texts = [path.read_text("utf-8") for path in WORKFLOWS.values()]
    named = {name for text in texts for name in re.findall(r"bash (\.ci/\w+)", text)}
    assert named == {".ci/run", ".ci/wheel", ".ci/bundle", ".ci/container"}
    for name in named:
        checked = subprocess.run(["bash", "-n", ROOT / name], capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_named_fields_of_known_types(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= form.keys()
    fields = [each for each in form["body"] if each["type"] != "markdown"]
    assert {each["type"] for each in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert all(each["attributes"]["label"] for each in fields)
    assert len({each["id"] for each in fields}) == len(fields)
    assert any(each.get("validations", {}).get("required") for each in fields)


def test_files_for_people_name_the_repository_of_the_project() -> None:
    contacts = read(GITHUB / "ISSUE_TEMPLATE" / "config.yml")["contact_links"]
    assert all(each["url"].startswith((SOURCE, PROJECT["urls"]["Documentation"])) for each in contacts)
    owner = SOURCE.removeprefix("https://github.com/")
    pages = [ROOT / "SECURITY.md", ROOT / "docs" / "installing.md", ROOT / "CONTRIBUTING.md"]
    named = [
        name
        for page in pages
        for name in re.findall(r"(?:github\.com|ghcr\.io|--repo )/?([\w-]+/[\w-]+)", page.read_text("utf-8"))
    ]
    assert {each for each in named if "moa-mcp" in each} == {owner}
