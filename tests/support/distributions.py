"""The wheel and the sdist, built from the sources without the network."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

from tests.project.structure import ROOT


def built(target: str, folder: Path, source: Path = ROOT) -> Path:
    """Build the `wheel` or the `sdist` of a source tree; return its file."""
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder],
        cwd=source,  # a copy of the package, which is not the one that is measured
        env=unmeasured,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    return path


def files(path: Path) -> dict[str, bytes]:
    """Return the content of each file of a wheel, or of an sdist without its top folder."""
    if path.suffix == ".whl":
        with ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as archive:
        found = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name.partition("/")[2]: file.read() for name, file in found.items() if file}


def metadata(wheel: Path) -> Message:
    """Return the metadata of a wheel; its payload is the page on PyPI."""
    (text,) = [content for name, content in files(wheel).items() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(text.decode())
