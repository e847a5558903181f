"""The runs of an evaluation and the same runs without one, each in a process of its own, at simulated members.

`python benchmarks/evaluation_runs.py runs|sdk FOLDER URL` asks the questions of a folder by bare `Runs`, which keep a
journal, or by a loop over OpenAI's SDK, which keeps nothing. `benchmarks/evaluation.py` compares them with the command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import anyio

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.eval_folder import recorded  # noqa: E402
from tests.support.known_questions import KnownQuestion, file  # noqa: E402  the folder above is not on the path before
from tests.support.member_server import MemberServer, routes  # noqa: E402
from tests.support.simulated_members import Member  # noqa: E402

AT_ONCE = 16
MEMBER = Member("able", 0.7, picks=0.85)
PIPELINE = """
[pipelines.self_moa]
description = "Merges six samples of one model."
steps = [
    { step = "propose", agents = [{ model = "able", samples = 6 }] },
    { step = "aggregate", agent = "able" },
]
"""


class Took(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_s: float
    most_mb: float
    """Resident memory at its height."""
    exit_code: int


def prepared(folder: Path, url: str, questions: Sequence[KnownQuestion]) -> None:
    """Write configuration and questions."""
    (folder / "pipelines.toml").write_text(routes([MEMBER], url) + PIPELINE, "utf-8")
    file(questions, folder / "questions.jsonl")


def command(folder: Path, *arguments: str) -> list[str]:
    """Return the command that evaluates the pipeline."""
    paths = {"--config": "pipelines.toml", "--journal": "runs.sqlite", "--json": "result.json"}
    options = [word for name, path in paths.items() for word in (name, str(folder / path))]
    questions = str(folder / "questions.jsonl")
    given = [questions, "--pipelines", "self_moa", "--concurrency", str(AT_ONCE), "--yes", "-q", *options, *arguments]
    return [sys.executable, "-m", "moa_mcp", "eval", *given]


def bare(folder: Path, url: str, how: str) -> list[str]:
    """Return the command that asks the same without an evaluation."""
    return [sys.executable, __file__, how, str(folder), url]


def environ(folder: Path) -> dict[str, str]:
    """Return the environment of a user without keys, whose files are in the folder."""
    kept = {key: value for key, value in os.environ.items() if key in {"PATH", "LANG"} or key.startswith("COVERAGE_")}
    return {**kept, "HOME": str(folder), "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "sk-benchmark"}


def timed(arguments: Sequence[str], folder: Path) -> Took:
    """Run a process and return what it took."""
    began = time.perf_counter()
    with (folder / "printed.txt").open("wb") as out:
        process = subprocess.Popen(arguments, env=environ(folder), stdout=out, stderr=out)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    return Took(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode)


class Kills(NamedTuple):
    """What became of an evaluation whose process was killed again and again."""

    kills: int
    answers: int
    """Given by the server."""
    repeated: int
    """Of those that were recorded at a kill, requested again later."""
    exit_code: int


def killed(folder: Path, server: MemberServer, kills: int, share: int) -> Kills:
    """Kill the command after each `share` of answers, start it again, and let the last one finish."""
    given, repeated = 0, 0
    known: set[Call] = set()
    for _ in range(kills):
        with subprocess.Popen(command(folder), env=environ(folder), stdout=subprocess.DEVNULL) as process:
            server.wait_for(share, 120)
            process.kill()
        seen = _forgotten(server, folder)
        given, repeated = given + seen.total(), repeated + sum(seen[each] for each in known)
        known = _recorded(folder)
    ended = timed(command(folder), folder)
    seen = _forgotten(server, folder)
    return Kills(kills, given + seen.total(), repeated + sum(seen[each] for each in known), ended.exit_code)


Call: TypeAlias = tuple[str, str]
"""A question, and `answer` or `merged`: the step that asked it."""


def _recorded(folder: Path) -> set[Call]:
    return {(each.question, "answer" if each.step == 1 else "merged") for each in recorded(folder / "runs.sqlite")}


def _forgotten(server: MemberServer, folder: Path) -> Counter[Call]:
    """Return how many answers each question got since the last time, by step."""
    lines = map(json.loads, (folder / "questions.jsonl").read_text("utf-8").splitlines())
    texts = {line["id"]: line["question"] for line in lines}
    seen = server.seen()
    server.clear()
    return Counter((texts[each.question], each.part) for each in seen)


# In the process that is measured


async def _all(questions: Sequence[str], ask: Callable[[str], Awaitable[None]]) -> None:
    left = iter(questions)

    async def some() -> None:
        for question in left:
            await ask(question)

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(some)


async def by_runs(folder: Path, questions: Sequence[str]) -> None:
    """Ask by bare runs with a journal."""
    from moa_mcp.config import load  # noqa: PLC0415
    from moa_mcp.garbage import collect_seldom  # noqa: PLC0415
    from moa_mcp.journal.sqlite import SQLiteJournal  # noqa: PLC0415
    from moa_mcp.providers.backend import real  # noqa: PLC0415
    from moa_mcp.runs import NewRun, Ready, Runs  # noqa: PLC0415
    from moa_mcp.values import Question  # noqa: PLC0415

    config = load(folder / "pipelines.toml")
    runs = Runs(config, real(config.models, dict(os.environ))[0], SQLiteJournal(folder / "bare.sqlite"))
    collect_seldom()

    async def ask(question: str) -> None:
        admitted = await runs.admit(NewRun(pipeline=config.pipelines["self_moa"], question=Question(question)))
        assert isinstance(admitted, Ready), admitted
        run = await runs.start(admitted)
        await run.ended.wait()
        assert run.trace.answer is not None, run.trace.error

    async with runs.open():
        await _all(questions, ask)


async def by_sdk(url: str, questions: Sequence[str]) -> None:
    """Ask by OpenAI's SDK, without a journal, retries of ours or a trace."""
    from openai import AsyncOpenAI  # noqa: PLC0415

    async with AsyncOpenAI(base_url=url, api_key="sk-benchmark") as client:

        async def ask(question: str) -> None:
            user = {"role": "user", "content": question}
            settings = {"model": "able", "temperature": 0.7, "max_tokens": 2048}
            samples = await client.chat.completions.create(messages=[user], n=6, **settings)
            shown = "\n\n".join(str(each.message.content) for each in samples.choices)
            system = {"role": "system", "content": f"Merge these answers:\n\n{shown}"}
            await client.chat.completions.create(messages=[system, user], **settings)

        await _all(questions, ask)


def main() -> None:
    how, folder, url = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    lines = (folder / "questions.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    if how == "runs":
        anyio.run(by_runs, folder, questions)
    else:
        anyio.run(by_sdk, url, questions)


if __name__ == "__main__":
    main()
