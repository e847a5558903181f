"""`moa-mcp eval --view`: the report from a guarded server on this machine; its links lead to the pages of runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.browser import chromium
from tests.support.nursery import Forked, Nursery
from tests.viewing.browser import Tab

if TYPE_CHECKING:
    from playwright import sync_api

QUESTION = "What is 2 plus 3?"

Start = Callable[[str], str]


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def served(nursery: Nursery, tmp_path: Path) -> Iterator[Start]:
    """Evaluate with simulated models and this journal, serve the report, and return its address."""
    started: list[Forked] = []
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}

    def start(journal: str) -> str:
        (tmp_path / "q.jsonl").write_text(json.dumps({"question": QUESTION, "answer": "5"}) + "\n", "utf-8")
        options = ("--offline", "--journal", journal)
        command = ("eval", str(tmp_path / "q.jsonl"), "--pipelines", "self_moa", "--yes", "--quiet", "--view")
        started.append(nursery.start(*options, *command, environ=environ))
        lines = iter(started[-1].stdout.readline, "")
        return next((line.strip() for line in lines if line.startswith("http://")), "")

    yield start
    for process in started:
        with process:
            process.terminate()
            process.wait(10)


def status(address: str, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", urlsplit(address).port or 0, timeout=10)
    connection.request("GET", path)
    found = connection.getresponse().status
    connection.close()
    return found


def test_a_link_of_the_report_leads_to_the_page_of_the_run(
    browser: sync_api.Browser, served: Start, tmp_path: Path
) -> None:
    address = served(str(tmp_path / "runs.sqlite"))
    assert urlsplit(address).path == "/evaluation"
    with browser.new_context() as context:
        tab = Tab(context, address)
        assert urlsplit(tab.page.url).query == ""
        assert tab.page.locator("h1").inner_text() == "Evaluation of q.jsonl"
        assert tab.page.locator(".scores img").evaluate("image => image.naturalWidth") == 1350
        tab.page.locator("details.question summary").first.click()
        tab.page.locator("article.card a").first.click()
        tab.page.get_by_role("heading", name=QUESTION).wait_for()
        assert urlsplit(tab.page.url).path.startswith("/runs/")
        assert tab.errors == []


def test_without_a_journal_the_report_has_no_links_but_needs_its_key_too(
    browser: sync_api.Browser, served: Start
) -> None:
    address = served("none")
    assert status(address, "/evaluation") == 403
    assert status(address, "/evaluation?key=wrong") == 403
    with browser.new_context() as context:
        tab = Tab(context, address)
        tab.page.locator("details.question summary").first.click()
        tab.page.locator("article.card").nth(1).wait_for()
        assert tab.page.locator("article.card a").count() == 0
        again = Tab(context, address.partition("?")[0])
        assert again.page.locator("details.question").count() == 1
        assert [*tab.errors, *again.errors] == []
