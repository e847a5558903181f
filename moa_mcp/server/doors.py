"""What the caller of a request may use: its door to the runs. Handlers of requests get at runs in no other way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from moa_mcp.callers import LOCAL, Caller
from moa_mcp.runs import CallerRuns, Deed, Runs
from moa_mcp.server.audit import AuditLog


class ClientRequest(Protocol):
    """What a client asks for, through any face of the server."""

    @property
    def request(self) -> Any:  # noqa: ANN401  as the SDK has it
        """The HTTP request; None over stdio."""
        ...

    @property
    def method(self) -> str:
        """What is asked for, as the audit log names it."""
        ...

    @property
    def params(self) -> Mapping[str, Any] | None:
        """With the name of the tool or model, if it calls one."""
        ...


CHAT = "chat/completions"
"""The method of the OpenAI-compatible API that starts runs."""
CallerOf: TypeAlias = Callable[[ClientRequest], Caller]
"""Returns the caller of a request. Raises for a request without one, where each must have one."""


def everyone_is_local(asked: ClientRequest) -> Caller:
    """Return the caller on a server without callers: the local user, who sees all runs."""
    del asked
    return LOCAL


class Doors:
    """Opens a door for each request, for what its caller may do."""

    def __init__(
        self,
        runs: Runs,
        caller_of: CallerOf = everyone_is_local,
        audit: AuditLog | None = None,
        *,
        over_http: bool = False,
    ) -> None:
        self._runs = runs
        self._over_http = over_http
        self._audit = audit
        self.caller_of = caller_of

    @property
    def guarded(self) -> bool:
        """Whether callers differ in what they may see."""
        return self.caller_of is not everyone_is_local

    @property
    def image_folders(self) -> tuple[Path, ...]:
        """The folders from which callers may name images by path."""
        limits = self._runs.config.limits
        allowed = limits.image_folders_over_http or not self._over_http
        return tuple(map(Path, limits.image_folders)) if allowed else ()

    def of(self, asked: ClientRequest) -> CallerRuns:
        """Return the runs that the caller of a request may see."""
        caller = self.caller_of(asked)
        return CallerRuns(self._runs, caller, lambda deed: self._write(asked, caller, deed))

    def whole(self) -> CallerRuns:
        """Return all runs and pipelines, for what the server does without a request. Not for the answer to one."""
        return CallerRuns(self._runs, LOCAL)

    def _write(self, asked: ClientRequest, caller: Caller, deed: Deed) -> None:
        if self._audit is None:
            return
        tool = str((asked.params or {}).get("name", "")) if asked.method in {"tools/call", CHAT} else ""
        self._audit.add(
            deed.action,
            deed.outcome,
            caller=caller.name,
            method=asked.method,
            tool=tool,
            run_id=deed.run_id,
            reason=deed.reason,
        )
