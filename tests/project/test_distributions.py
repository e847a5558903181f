"""What users install: the contents of the wheel and of the sdist, and the package's page on PyPI."""

from __future__ import annotations

import re
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.project.structure import PACKAGE, ROOT
from tests.support.distributions import built, files, metadata

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
KINDS = {".py", ".js", ".css", ".sql", ".toml", ".typed"}
"""Endings of the files that the package has."""


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(name="sdist", scope="module")
def _sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("sdist", tmp_path_factory.mktemp("sdist"))


def package_files() -> set[str]:
    """Return the files of the package in the source tree, as the wheel names them."""
    found = (path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in found} | {f"{PACKAGE}/pipelines.toml"}


def test_the_wheel_has_the_package_its_pipelines_and_its_licence_and_nothing_else(wheel: Path) -> None:
    inside = set(files(wheel))
    about = {name for name in inside if name.split("/")[0].endswith(".dist-info")}
    assert inside - about == package_files()
    assert {name.partition("/")[2] for name in about} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    assert {Path(name).suffix for name in inside - about} <= KINDS


def test_the_sdist_has_what_the_wheel_is_built_from_and_the_changelog(sdist: Path) -> None:
    own = package_files() - {f"{PACKAGE}/pipelines.toml"}
    beside = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pipelines.toml", "pyproject.toml"}
    assert set(files(sdist)) == own | beside


def test_a_wheel_built_from_the_sdist_is_the_same(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = built("wheel", tmp_path / "wheel", source)
    assert files(again) == files(wheel)


def test_links_and_pictures_on_pypi_lead_to_this_version_in_the_repository(wheel: Path) -> None:
    page = metadata(wheel).get_payload()
    assert isinstance(page, str)
    targets = re.findall(r'\]\(([^)\s]+)|(?:src|srcset|href)="([^"\s]+)', page)
    addresses = [link or attribute for link, attribute in targets]
    assert [each for each in addresses if not each.startswith(("https://", "#"))] == []
    source = PROJECT["urls"]["Source"]
    own = [each.removeprefix(source) for each in addresses if each.startswith(source)]
    assert own
    for path in own:
        file = path.removeprefix(f"/blob/v{PROJECT['version']}/").partition("#")[0]
        assert (ROOT / file).is_file(), path
    raw = source.replace("https://github.com/", "https://raw.githubusercontent.com/")
    pictures = re.findall(r'!\[[^\]]*\]\(([^)]*)\)|src(?:set)?="([^"]*)', page)
    assert pictures
    for address in map("".join, pictures):
        assert (ROOT / address.removeprefix(f"{raw}/v{PROJECT['version']}/")).is_file(), address


def test_the_metadata_names_the_repository_once_and_all_tested_pythons(wheel: Path) -> None:
    about = metadata(wheel)
    addresses = [each.partition(", ")[2] for each in about.get_all("Project-URL", [])]
    owner, name = PROJECT["urls"]["Source"].removeprefix("https://github.com/").split("/")
    assert all(each.startswith((PROJECT["urls"]["Source"], f"https://{owner}.github.io/{name}/")) for each in addresses)
    assert len(PROJECT["description"]) <= 100, "the registry of MCP servers takes no more characters"
    pythons = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
