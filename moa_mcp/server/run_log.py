"""An observer that logs runs: start and end at level info, requests at level debug. It logs no prompts or answers."""

from __future__ import annotations

import logging

from moa_mcp.events import AttemptFailed, AttemptFinished, AttemptStarted, Event, RunFinished

_log = logging.getLogger(__name__)


class RunLog:
    """Logs the runs of a process."""

    def begin(self, run_id: str, pipeline: str, earlier: tuple[str, ...]) -> LoggedRun:
        """Log that a run starts."""
        del earlier
        return LoggedRun(run_id, pipeline)

    async def flush(self) -> None:
        """Do nothing: each line is written at once."""


class LoggedRun:
    """Logs one run."""

    traceparent = ""

    def __init__(self, run_id: str, pipeline: str) -> None:
        self._about = {"run_id": run_id}
        self._name = f"run {run_id} ({pipeline})"
        self._finished = False
        _log.info("%s started", self._name, extra=self._about)

    def emit(self, event: Event) -> None:
        """Log an event. Messages of providers may quote a prompt, so only the kind of an error is logged."""
        match event:
            case AttemptStarted():
                self._debug("sends call %s to %s, attempt %d", event.place, event.model, event.attempt)
            case AttemptFinished():
                self._debug("has an answer to call %s after %.2f s", event.place, event.seconds)
            case AttemptFailed():
                self._debug("has no answer to call %s after %.2f s: %s", event.place, event.seconds, event.failure.kind)
            case RunFinished():
                self._finished = True
                why = f": {event.reason}" if event.reason else ""
                _log.info("%s is %s after %.2f s%s", self._name, event.status, event.seconds, why, extra=self._about)
            case _:
                pass

    def end(self) -> None:
        """Log that a run stops unfinished."""
        if not self._finished:
            _log.info("%s is interrupted; it can be resumed", self._name, extra=self._about)

    def _debug(self, message: str, *values: object) -> None:
        _log.debug(f"%s {message}", self._name, *values, extra=self._about)
