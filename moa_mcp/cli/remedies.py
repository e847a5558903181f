"""Remedies for a run that failed, was interrupted or could not be shown: complete commands to copy."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from moa_mcp.config import ENVIRONMENT_VARIABLE, Config
from moa_mcp.journal.address import is_database, shown
from moa_mcp.runs import other_models
from moa_mcp.trace.trace import Trace

_KEPT_NOWHERE = 'This run was not recorded and can\'t be resumed, because of --journal none or record = "hashes".'


class Remedies:
    """The commands that continue a run. `journal` and `config_path` are the values of the options."""

    def __init__(self, config: Config, journal: str | None, config_path: Path | None, *, offline: bool) -> None:
        self._kept = journal != "none" and config.journal.record == "calls"
        self._file = _journal(journal)
        self._world = _option("--config", config_path, ENVIRONMENT_VARIABLE) + ["--offline"] * offline

    def driving(self, name: str, run_id: str) -> str:
        """Return a command of `moa-mcp runs` that calls models."""
        return shlex.join(["moa-mcp", "runs", name, run_id, *self._file, *self._world])

    def showing(self, run_id: str) -> str:
        """Return the command that shows a run."""
        return shlex.join(["moa-mcp", "runs", "show", run_id, *self._file])

    def chatting(self, run_id: str) -> str:
        """Return the command that continues the conversation of a run; empty if it was not recorded."""
        command = ["moa-mcp", "chat", "--continue", run_id, *self._file, *self._world]
        return shlex.join(command) if self._kept else ""

    def of_failed(self, trace: Trace) -> str:
        """Return the remedy for a run without an answer."""
        if not trace.steps:
            return "No model was called and nothing was spent."
        if not self._kept:
            return _KEPT_NOWHERE
        if trace.too_long_for:
            models = ", ".join(trace.too_long_for)
            earlier = f" --continue {trace.continues}" if trace.continues else ""
            return (
                f"The conversation is too long for {models}. Set window = TOKENS for the route in the configuration, "
                f"which shortens earlier turns, or choose other --models, and ask again with moa-mcp ask{earlier}; or "
                "start a new conversation."
            )
        resume = self.driving("resume", trace.run_id)
        match trace.reason:
            case "budget":
                return f"The answers so far are stored. Run {resume} --max-cost USD to continue with a higher budget."
            case "journal":
                return f"Answers that were not stored are requested and paid again. Run {resume} to try again."
            case _:
                return self._of_unanswered(trace, f"{resume} to try again")

    def _of_unanswered(self, trace: Trace, again: str) -> str:
        """Return what helps a run of which a step got too few answers."""
        if not any(step.answers for step in trace.steps):
            return f"Run {self.showing(trace.run_id)} --full to see what every call returned, or {again}."
        other = other_models(trace)
        if other is None:
            return f"The answers so far are stored. Run {again}."
        fork = f"{self.driving('fork', trace.run_id)} --from {other[0]} --set {other[1]}"
        return f"The answers so far are stored. Run {again}, or {fork} to use another model."

    def of_interrupted(self, run_id: str) -> str:
        """Return the remedy for a run that its user interrupted; empty if it was not recorded."""
        return f"Run {self.driving('resume', run_id)} to resume it." if self._kept else ""

    def of_unwritten(self, run_id: str) -> str:
        """Return the remedy for an answer that could not be written."""
        return f"Run {self.showing(run_id)} to print it again." if self._kept else "The run was not recorded."

    def of_invalid(self, run_id: str) -> str:
        """Return what helps a run whose answer is not what its schema asks for."""
        if not self._kept:
            return "Simplify the schema, or choose another model with --aggregator or --models."
        return (
            f"Run {self.showing(run_id)} --full to see the replies. Simplify the schema, or choose another model with "
            "--aggregator or --models."
        )


def _journal(value: str | None) -> list[str]:
    """Return the option with the journal, without its password."""
    option = _option("--journal", value, "MOA_MCP_JOURNAL")
    return [shown(each) for each in option] if is_database(value) else option


def _option(name: str, value: Path | str | None, variable: str) -> list[str]:
    """Return the option, unless the environment has the same value."""
    return [] if value is None or str(value) == os.environ.get(variable) else [name, str(value)]
