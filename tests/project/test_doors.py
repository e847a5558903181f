"""Handlers of requests reach runs through the door of their caller alone."""

from __future__ import annotations

import ast

from tests.project.structure import PACKAGE, ROOT

SERVER = ROOT / PACKAGE / "server"
WITHOUT_REQUESTS = {"app.py", "doors.py", "health.py", "monitoring.py", "transports.py"}
"""Modules that own the runs of a process, or look after them without a request of a caller."""


def test_no_handler_of_requests_knows_the_runs_of_all_callers() -> None:
    known = {
        path.name
        for path in SERVER.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("moa_mcp.runs")
        and "Runs" in {each.name for each in node.names}
    }
    assert known <= WITHOUT_REQUESTS


def test_all_runs_are_used_without_a_caller_only_for_the_configuration_and_what_can_run() -> None:
    uses = {
        (path.name, ast.unparse(node))
        for path in SERVER.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and "whole()" in ast.unparse(node) and node.attr != "whole"
    }
    assert {use for _, use in uses} <= {
        "(await readiness(self._doors.whole())).values",
        "self._doors.whole().config",
        "self._doors.whole().config.limits",
        "self._doors.whole().config.limits.wait_s",
        "self._doors.whole().config.pipelines",
    }
