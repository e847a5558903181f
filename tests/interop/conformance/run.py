"""Holds the server to the official MCP conformance suite, for both protocol eras, over HTTP with simulated models.

    npm ci --prefix tests/interop/typescript && python -m tests.interop.conformance.run

The suite is an HTTP client that expects a server made for it; the scenarios that any server can pass are listed
here, what it asks beyond them in the two files of expected failures. Exits with 1 if anything else fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.serving import OFFLINE, ServerProcess

HERE = Path(__file__).parent
PROGRAMS = HERE.parent / "typescript" / "node_modules" / ".bin"
"""The suite, and a node that is new enough for it."""
APPLICABLE = {
    "2026-07-28": (
        "tools-list",
        "resources-list",
        "prompts-list",
        "completion-complete",
        "server-sse-multiple-streams",
        "sep-2164-resource-not-found",
        "dns-rebinding-protection",
        "caching",
        "http-header-validation",
        "input-required-result-unsupported-methods",
    ),
    "2025-11-25": (
        "server-initialize",
        "server-session-lifecycle",
        "ping",
        "tools-list",
        "resources-list",
        "prompts-list",
        "completion-complete",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
    ),
}
"""By revision: what must pass, beside `server-stateless` with all but its listed checks."""


def conforms(revision: str, url: str) -> bool:
    """Run a revision's scenarios; print the suite's report and say what is wrong with it."""
    expected = HERE / f"expected-failures-{revision}.yml"
    command = ["conformance", "server", "--url", url, "--requirements", revision, "--expected-failures", str(expected)]
    environment = {**os.environ, "PATH": os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    report = ran.stdout + ran.stderr
    passed = set(APPLICABLE[revision]) & set(
        re.findall(r"^\W*✓ ([\w-]+): [1-9]\d* passed, 0 failed", report, re.MULTILINE)
    )
    missing = [scenario for scenario in APPLICABLE[revision] if scenario not in passed]
    if missing or ran.returncode:
        sys.stdout.write(f"{report}\n{revision}: not passed: {', '.join(missing) or 'see above'}\n")
        return False
    sys.stdout.write(f"{revision}: all {len(passed)} applicable scenarios passed\n")
    return True


def main() -> int:
    if not (PROGRAMS / "conformance").exists():
        sys.stderr.write("the conformance suite is missing: npm ci --prefix tests/interop/typescript\n")
        return 1
    with ServerProcess("--http", "--port", "0", *OFFLINE) as server:
        conforming = [conforms(revision, server.url) for revision in APPLICABLE]
    return 0 if all(conforming) else 1


if __name__ == "__main__":
    sys.exit(main())
