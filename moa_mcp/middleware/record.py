"""Stores every attempt before it is sent, and its answer before it is used."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache, partial
from urllib.parse import urlsplit

import anyio

from moa_mcp.errors import STOPPED, CallError, Failure, JournalError, LeaseLost, Unrecorded
from moa_mcp.events import AttemptFailed, AttemptFinished, AttemptStarted, Emit, Event, Joined
from moa_mcp.model import Keep, Model
from moa_mcp.values import Call, Completion, Place


class Recorded:
    """Records each attempt: its start before the request, its result before any other layer uses it."""

    def __init__(
        self, inner: Model, emit: Emit, keep: Keep | None = None, attempts: Mapping[Place, int] | None = None
    ) -> None:
        """Wrap a model; `attempts` has the numbers of earlier attempts, to continue counting."""
        self._inner = inner
        self._emit = emit
        self._keep = keep or _telling(emit)
        self._attempts: defaultdict[Place, int] = defaultdict(int, attempts or {})

    async def __call__(self, call: Call) -> Completion:
        place = call.place
        attempt = self._attempts[place] = self._attempts[place] + 1
        others = tuple([self._next(other) for other in call.others]) if call.others else ()
        model = call.target.model if call.target else call.agent
        began = time.monotonic()
        first = _FirstText(began)
        heard = call if call.on_text is None else call._replace(on_text=partial(first.hear, call.on_text))

        def ended(failure: Failure) -> None:
            self._emit(
                AttemptFailed(
                    place=place,
                    attempt=attempt,
                    failure=failure,
                    seconds=time.monotonic() - began,
                    first_text_s=first.after_s,
                    others=others,
                )
            )

        try:
            await self._keep(
                AttemptStarted(
                    place=place,
                    attempt=attempt,
                    model=model,
                    parameters=call.parameters,
                    others=others,
                    server=_server(call.target.api_base) if call.target and call.target.api_base else "",
                )
            )
            completion = await self._inner(heard)
        except JournalError as error:
            raise Unrecorded(str(error)) from error
        except CallError as error:
            ended(Failure.of(error))
            raise
        except anyio.get_cancelled_exc_class():  # a recorded start gets its end
            ended(STOPPED)
            raise
        finished = AttemptFinished(
            place=place,
            attempt=attempt,
            completion=completion,
            seconds=time.monotonic() - began,
            first_text_s=first.after_s,
            others=others,
        )
        try:
            await self._keep(finished)
        except LeaseLost as error:
            raise Unrecorded(str(error)) from error
        except JournalError as error:  # the answer is paid, so use it
            self._emit(finished)
            return completion.noted(f"not recorded: {error}")
        return completion

    def _next(self, place: Place) -> Joined:
        self._attempts[place] += 1
        return Joined(place, self._attempts[place])


@cache
def _server(address: str) -> str:
    """Return the host and port of a server's address, without the rest."""
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}" if host else ""


class _FirstText:
    """Notes when the first text of a streamed answer arrives."""

    def __init__(self, began: float) -> None:
        self.after_s: float | None = None
        """Seconds since the beginning; None as long as no text arrived."""
        self._began = began

    def hear(self, on_text: Callable[[str], None], text: str) -> None:
        """Pass on a piece of the text."""
        if text and self.after_s is None:  # empty while the model reasons
            self.after_s = time.monotonic() - self._began
        on_text(text)


def _telling(emit: Emit) -> Keep:
    async def keep(event: Event) -> None:
        emit(event)

    return keep
