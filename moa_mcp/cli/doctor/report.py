"""Shows what `moa-mcp doctor` found: by client, then what clients share, then the machine; counts at the end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from moa_mcp.cli.doctor.diagnosis import LEVELS, Diagnosis, Section, masked
from moa_mcp.cli.doctor.hosts import HostEntry
from moa_mcp.cli.text import counted, line

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}
_THIS_MACHINE = "This machine"


def data(
    sections: Sequence[Section], hosts: Iterable[HostEntry], environments: Sequence[Mapping[str, str]]
) -> dict[str, object]:
    """Return it as JSON, without the keys of these environments."""
    counts = _counts(sections)
    return {
        "fine": not counts["problem"],
        "counts": {level: counts[level] for level in LEVELS},
        "clients": [_host(each, environments) for each in hosts],
        "findings": [_finding(each, section.titles) for section in sections for each in section.diagnoses],
    }


def _host(host: HostEntry, environments: Sequence[Mapping[str, str]]) -> Mapping[str, object]:
    return {
        "client": host.entry.client.name or None,
        "title": host.title,
        "file": str(host.file) if host.file else None,
        "installed": host.file is not None,
        "command": [masked(line(word), environments) for word in host.entry.command],
        "variables": sorted(host.entry.env),
    }


def _finding(found: Diagnosis, titles: Sequence[str]) -> Mapping[str, object]:
    return {
        "level": found.level,
        "check": found.check,
        "clients": list(titles),
        "message": line(found.message),
        "where": line(found.where),
        "details": [line(each) for each in found.details],
        "remedy": line(found.remedy),
        "commands": list(found.commands),
    }


def show(out: Console, sections: Sequence[Section]) -> None:
    """Print it."""
    for section in sections:
        out.print(Text(_titled(section.titles), "bold"))
        out.print(_table(section.diagnoses))
        out.print()
    out.print(_summary(sections))


def _titled(titles: Sequence[str]) -> str:
    if not titles:
        return _THIS_MACHINE
    *first, last = map(line, titles)
    return f"{', '.join(first)} and {last}" if first else last


def _table(diagnoses: Iterable[Diagnosis]) -> Table:
    grid = Table.grid(padding=(0, 2), pad_edge=True)
    for _ in range(2):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for each in sorted(diagnoses, key=lambda found: LEVELS.index(found.level)):
        grid.add_row(Text(each.level, _STYLES[each.level]), each.check, line(each.message))
        for text in _below(each):
            grid.add_row("", "", text)
    return grid


def _below(found: Diagnosis) -> Iterator[Text]:
    for each in found.details:
        yield Text(f"| {line(each)}", "dim")
    if found.where and found.level != "ok":
        yield Text(f"in {_short(line(found.where))}")
    if found.remedy:
        yield Text(line(found.remedy))
    for each in found.commands:
        yield Text(f"$ {line(each)}", "bold")


def _short(path: str) -> str:
    """Return a path with ~ for the user's folder."""
    home = os.environ.get("HOME", "")
    return f"~{path[len(home) :]}" if len(home) > 1 and path.startswith(f"{home}/") else path


def _summary(sections: Sequence[Section]) -> Text:
    counts = _counts(sections)
    problems = [f"{_titled(each.titles)}: {', '.join(dict.fromkeys(names))}" for each, names in _problems(sections)]
    said = ", ".join(counted(counts[level], level) for level in ("problem", "warning") if counts[level])
    if not said:
        return Text(f"No problem found ({counted(counts['ok'], 'check')}).", "green")
    style = "red" if problems else "yellow"
    where = f" ({'; '.join(problems)})" if problems else ""
    return Text(f"{said}{where}, {counts['ok']} ok.", style)


def _problems(sections: Sequence[Section]) -> Iterator[tuple[Section, list[str]]]:
    for section in sections:
        names = [each.check for each in section.diagnoses if each.level == "problem"]
        if names:
            yield section, names


def _counts(sections: Iterable[Section]) -> Counter[str]:
    return Counter(each.level for section in sections for each in section.diagnoses)
