"""A batch whose process is killed again and again: `python benchmarks/batch.py [--questions 5000] [--kills 20]`.

One model call for each question, at a model server that answers at once. Each start is killed after an equal share of
the questions has been requested. The exit code is 1 if a recorded answer is requested again, or a line is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.model_server import ModelServer, Reply  # noqa: E402  the folder above is not on the path before


def configured(folder: Path, url: str, questions: int) -> list[str]:
    """Write configuration and questions; return the command."""
    (folder / "pipelines.toml").write_text(
        f'models.m.routes = [{{ model = "openai/m", api_base = "{url}" }}]\n'
        'pipelines.one = { description = "x", steps = [{ step = "propose", agents = ["m"] }] }\n'
    )
    (folder / "q.jsonl").write_text("".join(f'"Question {number}?"\n' for number in range(questions)))
    paths = {"--config": "pipelines.toml", "--journal": "runs.sqlite", "-o": "out.jsonl"}
    options = [word for name, path in paths.items() for word in (name, str(folder / path))]
    return [sys.executable, "-m", "moa_mcp", "batch", "one", str(folder / "q.jsonl"), "-q", *options]


def answered(folder: Path) -> set[str]:
    """Return the questions with an answer in the journal."""
    with closing(sqlite3.connect(folder / "runs.sqlite")) as db:
        sql = (
            'SELECT DISTINCT title FROM runs JOIN events USING (run_id) WHERE body LIKE \'%"kind":"attempt_finished"%\''
        )
        return {title for (title,) in db.execute(sql)}


def asked(server: ModelServer) -> Counter[str]:
    """Return what was requested since the last time, and forget it."""
    texts = (str(each.body["messages"][-1]["content"]) for each in server.requests)
    found = Counter(match[0] for text in texts if (match := re.search(r"Question \d+\?", text)))
    server.clear()
    return found


def main() -> int:
    """Measure and print; 1 if an answer is lost or requested again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    given = parser.parse_args()
    share = given.questions // (given.kills + 1)
    known: set[str] = set()
    repeated, requests = 0, 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ModelServer() as server:
        server.script("*", Reply("Yes."))
        folder = Path(name)
        command = configured(folder, server.url, given.questions)
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        for _ in range(given.kills):
            with subprocess.Popen(command, env=environ) as process:
                server.wait_for(lambda seen: len(seen) >= share, 600)
                process.kill()
            these = asked(server)
            repeated += sum(these[each] for each in known)
            requests += these.total()
            known = answered(folder)
        subprocess.run(command, env=environ, check=True)
        these = asked(server)
        repeated += sum(these[each] for each in known)
        requests += these.total()
        items = [json.loads(line)["item"] for line in (folder / "out.jsonl").read_text("ascii").splitlines()]
    whole = items == [*range(1, given.questions + 1)]
    took = time.monotonic() - began
    print("| questions | kills | requests | recorded answers requested again | complete, in order | seconds |")
    print("|---|---|---|---|---|---|")
    print(f"| {given.questions} | {given.kills} | {requests} | {repeated} | {'yes' if whole else 'NO'} | {took:.0f} |")
    return int(bool(repeated) or not whole)


if __name__ == "__main__":
    sys.exit(main())
