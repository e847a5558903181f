"""Tells coverage of calls that Python 3.11 does not report: of coroutines that go on after a cancellation.

An exception that cancels a task is thrown into the innermost `await`. If that handles it, the frames around it go on
without a call event, and the tracer takes their lines and their returns for those of other frames: nothing is measured
of them, nor of the frames around the event loop. From Python 3.12 on, there is an event.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

import trio
from anyio._backends import _asyncio

_LOOPS = frozenset({"_run", "unrolled_run"})
"""Functions of event loops that go on with a task."""


def complete_tracing() -> None:
    """Report the frames of a task again where a cancellation ended, and all frames where an event loop has ended."""
    if sys.gettrace() is None or sys.version_info >= (3, 12):
        return
    for scope in (_asyncio.CancelScope, trio.CancelScope):
        _tells(scope, "__exit__", whole=False)
    _tells(asyncio.Runner, "run", whole=True)


def _tells(owner: type, name: str, *, whole: bool) -> None:
    function: Callable[..., Any] = getattr(owner, name)

    @wraps(function)
    def telling(*args: Any, **kwargs: Any) -> Any:
        ended = whole
        try:
            result = function(*args, **kwargs)
            ended = ended or result
            return result
        finally:
            if ended:
                _report(whole=whole)

    setattr(owner, name, telling)


def _report(*, whole: bool) -> None:
    tracer = sys.gettrace()
    if tracer is None:
        return
    sys.settrace(None)
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe()
    while frame is not None and (whole or frame.f_code.co_name not in _LOOPS):
        frames.append(frame)
        frame = frame.f_back
    for each in reversed(frames):
        tracer(each, "call", None)  # which also goes on with the tracing
