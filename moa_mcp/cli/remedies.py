"""What a person can do about a run that failed, broke off or could not be shown: commands that work as they stand."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from moa_mcp.config import ENVIRONMENT_VARIABLE, Config
from moa_mcp.runs import other_models
from moa_mcp.trace.trace import Trace

_KEPT_NOWHERE = 'Nothing was kept that could be gone on with: --journal none, or record = "hashes".'


class Remedies:
    """The commands that go on with a run of this one. `journal` and `config_path` are what the options say."""

    def __init__(self, config: Config, journal: str | None, config_path: Path | None, *, offline: bool) -> None:
        self._kept = journal != "none" and config.defaults.record == "calls"
        self._file = _option("--journal", journal, "MOA_MCP_JOURNAL")
        self._world = _option("--config", config_path, ENVIRONMENT_VARIABLE) + ["--offline"] * offline

    def driving(self, name: str, run_id: str) -> str:
        """Return a command of `moa-mcp runs` that asks models."""
        return shlex.join(["moa-mcp", "runs", name, run_id, *self._file, *self._world])

    def showing(self, run_id: str) -> str:
        """Return the command that shows a run."""
        return shlex.join(["moa-mcp", "runs", "show", run_id, *self._file])

    def of_failed(self, trace: Trace) -> str:
        """Return what helps a run that gave no answer."""
        if not trace.steps:
            return "Nothing was spent."
        if not self._kept:
            return _KEPT_NOWHERE
        again = f"{self.driving('resume', trace.run_id)} tries again"
        if trace.reason == "journal":
            return f"The journal did not take all of it, and what it lacks is asked and paid again: {again}."
        if not any(step.answers for step in trace.steps):
            return f"{self.showing(trace.run_id)} --full shows what every call said, {again}."
        other = other_models(trace)
        if other is None:
            return f"What was answered is kept: {again}."
        fork = f"{self.driving('fork', trace.run_id)} --from {other[0]} --set {other[1]}"
        return f"What was answered is kept: {again}, {fork} asks another model."

    def of_interrupted(self, run_id: str) -> str:
        """Return what helps a run that its user broke off, if anything does."""
        return f"{self.driving('resume', run_id)} goes on with what was answered." if self._kept else ""

    def of_unwritten(self, run_id: str) -> str:
        """Return what helps where an answer could not be written."""
        return f"It is kept: {self.showing(run_id)} prints it." if self._kept else "It was not kept, either."


def _option(name: str, value: Path | str | None, variable: str) -> list[str]:
    """Return the option, unless the environment says the same."""
    return [] if value is None or str(value) == os.environ.get(variable) else [name, str(value)]
