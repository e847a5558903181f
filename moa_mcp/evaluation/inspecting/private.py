"""What Inspect has no public name for (0.3.285). Only this module imports its private ones.

A later release may move them. The provider does without those that it uses: see `sample_active` and `prerequisite`.
"""
# ruff: noqa: PLC0415  a name that was moved concerns its function alone

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from inspect_ai import Task

__all__ = ["ActiveSample", "parameters_of", "prerequisite", "sample_active", "show_nothing", "task_of"]

_log = logging.getLogger(__name__)


class ActiveSample(NamedTuple):
    """A sample that is being executed."""

    id: str | int | None
    epoch: int
    """From 1."""
    model: str
    """That is evaluated, such as ``moa/vote``; another one may score its answers."""
    attempt: object
    """The same for all calls of one attempt at the sample, and for no others."""


def sample_active() -> ActiveSample | None:
    """Return the sample in which the caller runs; None outside of one, or if Inspect does not tell it."""
    try:
        from inspect_ai.log._samples import sample_active as active
    except ImportError:
        _warn()
        return None
    found = active()
    return None if found is None else ActiveSample(found.sample.id, found.epoch, found.model, found)


@cache
def _warn() -> None:
    """Warn, once for this process."""
    _log.warning("this release of inspect_ai does not tell samples apart; install inspect-ai 0.3.285")


def prerequisite(message: str) -> Exception:
    """Return the error that Inspect prints without a stack trace, as text with styles; else a `ValueError`."""
    try:
        from inspect_ai._util.error import PrerequisiteError
    except ImportError:
        return ValueError(message)
    return PrerequisiteError(message)


def show_nothing() -> None:
    """Let Inspect draw nothing in this process."""
    from inspect_ai.util._display import init_display_type

    init_display_type("none")


def task_of(source: str, arguments: Mapping[str, object]) -> Task:
    """Return the task ``FILE@NAME``, in whose folder its file is executed. Raises what the file raises."""
    from inspect_ai._eval.loader import load_tasks

    return load_tasks([source], dict(arguments))[0]


def parameters_of(part: object) -> Mapping[str, object]:
    """Return the arguments with which a scorer or another part was made; none if it was not made by a decorator."""
    from inspect_ai._util.registry import registry_params

    try:
        return registry_params(part)
    except ValueError:
        return {}
