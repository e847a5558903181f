"""The script that checks the pages of the built site: broken links, missing anchors, and what is loaded elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.structure import ROOT

TARGET = '<h1 id="top">Target</h1>'


def checked(site: Path, page: str) -> tuple[int, list[str]]:
    """Check a site with this page; return the exit code and the lines of the output but the last."""
    (site / "deep").mkdir()
    (site / "deep" / "page.html").write_text(page, "utf-8")
    (site / "target.html").write_text(TARGET, "utf-8")
    command = [sys.executable, str(ROOT / "tools" / "links.py"), str(site)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return run.returncode, run.stdout.splitlines()[:-1]


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="gone.html">x</a>', "gone.html does not exist"),
        ('<a href="../target.html#gone">x</a>', "../target.html#gone has no such anchor"),
        ('<a href="#gone">x</a>', "#gone has no such anchor"),
        ('<img src="gone.svg">', "gone.svg does not exist"),
        ('<script src="https://cdn.example/x.js"></script>', "https://cdn.example/x.js is loaded from another server"),
        ('<link rel="stylesheet" href="//cdn.example/x.css">', "//cdn.example/x.css is loaded from another server"),
    ],
)
def test_a_fault_is_reported_with_its_page_and_fails(tmp_path: Path, page: str, fault: str) -> None:
    assert checked(tmp_path, page) == (1, [f"deep/page.html: {fault}"])


def test_links_that_lead_somewhere_pass(tmp_path: Path) -> None:
    page = (
        '<p id="here"><a href="#here">1</a> <a href="../target.html#top">2</a> <a href="https://example.com/">3</a>'
        '<a href="../target.html">4</a> <a href="#">5</a> <img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></p>'
    )
    assert checked(tmp_path, page) == (0, [])
