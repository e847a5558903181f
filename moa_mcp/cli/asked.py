"""What `ask`, `chat` and `batch` share: options, texts from files, a run, and refusals with what the models need."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import click

from moa_mcp.cli import completing
from moa_mcp.cli.admitting import admitted, begins, refusal
from moa_mcp.cli.options import Decorated, KeysMissing, Refused, seconds
from moa_mcp.cli.runs.record import explained
from moa_mcp.cli.screen import DisplayOptions
from moa_mcp.cli.watch import Seen, runs_of, watch
from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import ChangeRefused
from moa_mcp.files.images import images_of
from moa_mcp.files.refused import FileRefused
from moa_mcp.files.texts import check_text, is_pdf, pdf_text
from moa_mcp.images import Image
from moa_mcp.journal import Journal
from moa_mcp.panels import PROVIDERS, all_known, needs, replaceable
from moa_mcp.planning.plan import Reach, reach, sufficient
from moa_mcp.providers.backend import Backend
from moa_mcp.routing.routes import Routes, remedy
from moa_mcp.runs import NewRun, RunRefused, Runs
from moa_mcp.runs import chosen as with_models
from moa_mcp.schemas import SchemaRefused, checked


def asked_options(command: Decorated) -> Decorated:
    """Add --system, --models and --aggregator."""
    system = click.option("--system", metavar="TEXT", help="System prompt for all models.")
    models = click.option(
        "--models",
        metavar="NAMES",
        shell_complete=completing.models,
        help="Models or panels that answer, separated by commas: balanced:4.",
    )
    aggregator = click.option(
        "--aggregator",
        metavar="NAME",
        shell_complete=completing.model,
        help="Model or panel that merges or judges the answers.",
    )
    return system(models(aggregator(command)))


def schema_option(command: Decorated) -> Decorated:
    """Add --schema."""
    return click.option(
        "--schema",
        "schema_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="JSON Schema of the answer, which is then JSON.",
    )(command)


def context_option(command: Decorated) -> Decorated:
    """Add --context."""
    return click.option(
        "--context",
        "context_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File with context for the question.",
    )(command)


def continue_option(command: Decorated) -> Decorated:
    """Add --continue."""
    return click.option(
        "--continue",
        "continue_run",
        metavar="ID",
        shell_complete=completing.runs,
        help="Run that the question follows: an ID, the start of one, or 'last'.",
    )(command)


def deadline_option(command: Decorated) -> Decorated:
    """Add --deadline."""
    return click.option(
        "--deadline",
        "deadline_s",
        type=seconds,
        metavar="SECONDS",
        help="Time limit; returns the best answer so far.",
    )(command)


def answered(
    config: Config, journal: Journal, request: NewRun, providers: tuple[Backend, Routes | None], options: DisplayOptions
) -> Seen:
    """Run a question and show its answer. Raises `Refused` if it can't start, and `Interrupted`."""
    backend, routes = providers
    runs = runs_of(config, backend, journal)
    with explained():
        ready = admitted(runs, request, partial(refused_for_keys, runs, request.pipeline, routes))
    return watch(runs, request.pipeline, begins(ready), options)


def models_chosen(pipeline: Pipeline, models: str | None, aggregator: str | None, config: Config) -> Pipeline:
    """Return the pipeline with the models of the options. Raises `Refused`."""
    for option, value in (("--models", models), ("--aggregator", aggregator)):
        if value is not None and not value.strip(" ,"):
            raise Refused(f"{option} names no model", f"Name one, such as {option} balanced, or remove the option.")
    try:
        return with_models(pipeline, models or "", aggregator or "", config)
    except ChangeRefused as error:
        raise Refused(str(error), error.remedy) from error


def context_of(path: Path | None, option: str = "--context") -> str | None:
    """Return the text of the file of an option. Raises `Refused`."""
    if path is None:
        return None
    try:
        text = _text(str(path), path.read_bytes())
    except OSError as error:
        raise Refused(f"can't read {path}: {error.strerror}", f"Pass a text file to {option}.") from error
    except FileRefused as error:
        raise Refused(str(error), error.remedy) from error
    if not text.strip():
        raise Refused(f"{path} is empty", f"Remove {option}, or pass a file that contains text.")
    return text


def _text(name: str, content: bytes) -> str:
    if is_pdf(content):
        return pdf_text(name, content)
    check_text(name, content)
    return decoded(name, content)


def images_given(given: Sequence[str]) -> tuple[Image, ...]:
    """Return the images of --image. Raises `Refused`."""
    try:
        return images_of(given)
    except FileRefused as error:
        raise Refused(str(error), error.remedy or "Pass PNG, JPEG, WebP or GIF files to --image.") from error


def schema_of(path: Path | None) -> str | None:
    """Return the JSON Schema in a file. Raises `Refused`."""
    if path is None:
        return None
    try:
        return checked(decoded(str(path), path.read_bytes()))
    except OSError as error:
        raise Refused(f"can't read {path}: {error.strerror}", "Pass a file with a JSON Schema to --schema.") from error
    except SchemaRefused as error:
        raise Refused(f"{path} {error}", "Correct the JSON Schema of --schema; it follows draft 2020-12.") from error


def decoded(name: str, content: bytes) -> str:
    """Return the text of a file or of stdin, which is UTF-8. Raises `Refused`."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{name} is not UTF-8: byte {content[error.start]:#04x} at offset {error.start}"
        raise Refused(message, "Convert the text to UTF-8.") from error


def refused_for_keys(runs: Runs, pipeline: Pipeline, routes: Routes | None, refused: RunRefused) -> Refused:
    """Return the error for a run that can't start; for models without a usable provider, with what they need."""
    if routes is None or refused.reason != "no_provider":
        return refusal(refused)
    config = runs.config
    resolved = anyio.run(runs.resolved, pipeline)
    reached = anyio.run(reach, resolved.pipeline, routes.of(resolved.routes))
    blocked = [each for each in reached if each.alias in refused.models]
    aliases = [each.alias for each in blocked]
    way = (
        needs(config, routes) if replaceable(config, aliases) else _remedy(config, resolved.pipeline, reached, blocked)
    )
    if not config.panels.stand_ins and aliases and all(alias in config.stand_ins for alias in aliases):
        way += ", or set stand_ins = true in [panels]" + ("" if routes.has_key(PROVIDERS) else " and any API key")
    return KeysMissing(
        f"{pipeline.name} can't run: no usable provider for {', '.join(aliases)}",
        f"To run it, {way}. Run moa-mcp check {pipeline.name} to see all models, or add --offline to simulate them.",
    )


def _remedy(config: Config, pipeline: Pipeline, reached: Sequence[Reach], blocked: Sequence[Reach]) -> str:
    """Return all that would let the pipeline run; without a single remedy, what would make the first model usable."""
    of_panels = {route.provider for each in all_known(tuple(config.panels.exclude)) for route in each.routes}
    if states := sufficient(pipeline, reached, of_panels):
        return remedy(states)
    return f"{blocked[0].missing} for {blocked[0].alias}, and provide keys or servers for the other models"
