"""Writes the generated pages and drawings of the documentation: `python -m tools.reference`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tools.reference import commands, mcp_tools, pipelines, settings, steps

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = {"commands": commands, "pipelines": pipelines, "settings": settings, "steps": steps, "tools": mcp_tools}


def generated() -> Mapping[str, str]:
    """Return the generated files by their paths in `docs/`."""
    pages = {f"reference/{name}.md": module.written() for name, module in PAGES.items()}
    layers = {f"drawings/{name}.svg": text for name, text in pipelines.drawings().items()}
    examples = {f"drawings/step-{name}.svg": text for name, text in steps.drawings().items()}
    return {**pages, **layers, **examples}


def stale() -> set[str]:
    """Return the paths of files in the generated folders that are no longer generated."""
    there = (path for folder in ("reference", "drawings") for path in (DOCS / folder).glob("*"))
    return {path.relative_to(DOCS).as_posix() for path in there} - generated().keys()


def main() -> None:
    """Write what changed, and remove what is no longer generated."""
    for name in stale():
        (DOCS / name).unlink()
    for name, text in generated().items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
