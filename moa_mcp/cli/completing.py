"""What the shell completes: names of pipelines, models, runs, MCP clients and keys.

A completion that can't be found is empty: an error would be printed into the line that the user writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import click

from moa_mcp.cli.text import shortened

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from moa_mcp.config import Config
    from moa_mcp.journal import RunRecord

_RUNS = 50
"""The newest runs are completed, as many as a user would look through."""
_TITLE = 60

Completer: TypeAlias = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]
Found: TypeAlias = Callable[[click.Context], Iterable[tuple[str, str]]]
"""Returns words, each with its description or an empty text."""


def _completer(found: Found) -> Completer:
    """Return what click calls: the words that begin as the user's and that are not on the line yet."""

    @wraps(found)
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415  only a completion needs it

        used: tuple[str, ...] = (ctx.params.get(param.name or "") if param.nargs < 0 else None) or ()
        try:
            pairs = list(found(ctx))
        except Exception:  # noqa: BLE001  whatever is wrong, a command reports it; a completion must not
            pairs = []
        return [
            CompletionItem(word, help=shortened(description, _TITLE) or None)
            for word, description in pairs
            if word.startswith(incomplete) and word not in used and _is_one_word(word)
        ]

    return complete


def _is_one_word(text: str) -> bool:
    """Whether the shell reads it as one word, as it is."""
    return text.isprintable() and not set(text) & set(" \"'\\$`&|;<>()*?[]{}!#~\xa0")


def _given(ctx: click.Context, name: str) -> Any:  # noqa: ANN401  the type depends on the option
    """Return an option of the command, or else of the commands before it."""
    here: click.Context | None = ctx
    while here is not None:
        if (value := here.params.get(name)) is not None:
            return value
        here = here.parent
    return None


def _config(ctx: click.Context) -> Config:
    from moa_mcp.config import load  # noqa: PLC0415  the commands without a configuration load this module too

    return load(_given(ctx, "config_path"))


def _records(ctx: click.Context) -> tuple[RunRecord, ...]:
    """Return the newest runs, newest first."""
    from moa_mcp.cli.options import closing, opened  # noqa: PLC0415  they load this module
    from moa_mcp.cli.runs.record import absent  # noqa: PLC0415
    from moa_mcp.config import JournalSettings  # noqa: PLC0415

    path = _given(ctx, "journal")
    if absent(path):
        return ()
    with closing(opened(path, JournalSettings(), to_read=True)) as journal:
        return anyio.run(partial(journal.records, limit=_RUNS))


@_completer
def pipelines(ctx: click.Context) -> Iterable[tuple[str, str]]:
    """Complete the names of the configured pipelines."""
    return ((name, each.description) for name, each in _config(ctx).pipelines.items())


@_completer
def model(ctx: click.Context) -> Iterable[tuple[str, str]]:
    """Complete the name of a model or panel of the configuration."""
    from moa_mcp.steps.panel import TIERS  # noqa: PLC0415

    return dict.fromkeys((name, "") for name in (*TIERS, *_config(ctx).models))


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the last name of a list with commas."""
    return _last_of(model, ctx, param, incomplete)


def _last_of(complete: Completer, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{each.value}") for each in complete(ctx, param, last)]


def pipeline_list(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the last pipeline of a list with commas."""
    return _last_of(pipelines, ctx, param, incomplete)


@_completer
def judge(ctx: click.Context) -> Iterable[tuple[str, str]]:
    """Complete the name of a pipeline, model or panel."""
    from moa_mcp.steps.panel import TIERS  # noqa: PLC0415

    config = _config(ctx)
    return dict.fromkeys((name, "") for name in (*config.pipelines, *TIERS, *config.models))


@_completer
def runs(ctx: click.Context) -> Iterable[tuple[str, str]]:
    """Complete the IDs of the newest runs."""
    from moa_mcp.cli.runs.record import stands  # noqa: PLC0415  it loads this module

    records = _records(ctx)
    found = ((each.run_id, f"{stands(each)}, {each.pipeline}: {each.title}") for each in records)
    return [("last", "the newest run"), *found] if records else ()


@_completer
def batches(ctx: click.Context) -> Iterable[tuple[str, str]]:
    """Complete the IDs of the batches of the newest runs."""
    return {each.batch: each.pipeline for each in _records(ctx) if each.batch}.items()


@_completer
def clients(ctx: click.Context) -> Iterable[tuple[str, str]]:
    """Complete the names of MCP clients."""
    from moa_mcp.clients.known import CLIENTS  # noqa: PLC0415  only install needs it

    del ctx
    return ((each.name, each.title) for each in CLIENTS)


@_completer
def keys(ctx: click.Context) -> Iterable[tuple[str, str]]:
    """Complete the names of the API keys that routes of the configuration use."""
    routes = (route for routes in _config(ctx).models.values() for route in routes)
    return dict.fromkeys((name, "") for route in routes for names in route.key_names for name in names)


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a file, where the option is a text because it also has other values."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    del ctx, param
    return [CompletionItem(incomplete, type="file")]
