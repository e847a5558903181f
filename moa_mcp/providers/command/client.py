"""The provider for programs: starts one, passes the prompt, reads the answer.

Timeouts, concurrency limits and retries belong to the middleware around it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from moa_mcp.errors import AnswerEmpty, CallError, ModelNotFound, RequestRefused, UnexpectedFault
from moa_mcp.providers.command import failures, output, presets, process
from moa_mcp.providers.command.output import Output
from moa_mcp.providers.command.process import Finished, TooMuchOutput
from moa_mcp.providers.replies.collector import Collecting
from moa_mcp.routing.commands import PRESETS
from moa_mcp.text.surrogates import mended
from moa_mcp.values import Call, Completion, Program, Target

_PASSED = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TERM", "TMPDIR", "TZ"})
_PASSED_GROUPS = ("LC_", "XDG_")
_PASSED_ON_WINDOWS = frozenset(
    {"APPDATA", "COMSPEC", "LOCALAPPDATA", "PATHEXT", "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE"}
)


class Programs:
    """Answers calls with programs. No shell; each call has a process and an empty folder, which is removed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def __call__(self, call: Call) -> Completion:
        target = call.target
        if target is None or target.program is None:
            raise RequestRefused(f"no program selected for {call.agent}")
        with _folders(target) as (work, files):
            asked = presets.invocation(target.program, call.messages, files)
            for path, text in asked.files.items():
                path.write_text(mended(text), "utf-8")
            environ = {**passed(target.program, self._environ), **asked.environ}
            try:
                finished = await process.run(asked.words, mended(asked.given).encode(), environ, work)
            except TooMuchOutput as error:
                raise UnexpectedFault(f"{target.model} {error}") from error
            except (OSError, ValueError) as error:
                why = (error.strerror if isinstance(error, OSError) else None) or str(error)
                raise ModelNotFound(f"{target.model}: can't start {asked.words[0]}: {why}") from error
        return _completion(call, target, target.program, finished)


def passed(program: Program, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: few usual variables, those for its login, and those that its route names."""
    known = PRESETS.get(program.preset)
    named = {*_PASSED, *program.env, *(known.env if known else ())}
    if sys.platform == "win32":
        named |= _PASSED_ON_WINDOWS
    return {name: value for name, value in environ.items() if name in named or name.startswith(_PASSED_GROUPS)}


@contextmanager
def _folders(target: Target) -> Generator[tuple[Path, Path]]:
    """Yield an empty folder to work in, and one for files of the call; remove both."""
    try:
        parent = Path(tempfile.mkdtemp(prefix="moa-mcp-"))
    except OSError as error:
        raise RequestRefused(f"{target.model}: can't create a temporary folder: {error.strerror}") from error
    try:
        work, files = parent / "work", parent / "files"
        work.mkdir()
        files.mkdir()
        yield work, files
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def _completion(call: Call, target: Target, program: Program, finished: Finished) -> Completion:
    printed = finished.stdout.decode("utf-8", "replace")
    reported = output.read(program, printed)
    if reported is not None and reported.failure is not None:
        raise _billed(failures.reported(target, reported.failure, reported.status), reported)
    if reported is None or finished.code:
        raise failures.unfinished(target, finished)
    collecting = Collecting(call, target)
    message = {"content": reported.text, "reasoning": reported.reasoning}
    choice = {"index": 0, "finish_reason": reported.finish_reason or "stop", "message": message}
    collecting.take({"choices": [choice], "usage": dict(reported.usage)})
    try:
        completion = collecting.completion()
    except AnswerEmpty as error:
        raise _billed(error, reported) from error
    if reported.cost_usd is not None:
        completion = replace(completion, cost_usd=reported.cost_usd)
    return completion.noted(*_notes(call, target, "\ufffd" in printed))


def _billed(error: CallError, reported: Output) -> CallError:
    """Return the error with the cost that the program reported; without one, it is unknown whether it counts."""
    if reported.cost_usd is not None:
        error.paid, error.cost_usd = True, reported.cost_usd
    elif error.paid:
        error.paid = None
    return error


def _notes(call: Call, target: Target, replaced: bool) -> tuple[str, ...]:
    names = ", ".join(call.parameters)
    notes = (f"{target.model} takes no parameters; left out {names}",) if names else ()
    return (*notes, f"{target.model} printed invalid UTF-8; replaced it") if replaced else notes
