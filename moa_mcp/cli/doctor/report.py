"""Shows what `moa-mcp doctor` found: by client, then what clients share, then the machine; counts at the end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from moa_mcp.cli.doctor.diagnosis import LEVELS, Diagnosis, Section, masked
from moa_mcp.cli.doctor.hosts import HostEntry
from moa_mcp.cli.text import counted, line

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}
_LEVEL_WIDTH = max(map(len, LEVELS))
_NARROWEST = 20
_WHOLE = ("$ ", "in ")
"""How commands and places begin."""
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
        _show(out, section.diagnoses)
        out.print()
    out.print(_summary(sections))


def _titled(titles: Sequence[str]) -> str:
    if not titles:
        return _THIS_MACHINE
    *first, last = map(line, titles)
    return f"{', '.join(first)} and {last}" if first else last


def _show(out: Console, diagnoses: Sequence[Diagnosis]) -> None:
    """Print diagnoses, problems last. Commands and paths are not broken into lines, so that they can be copied."""
    longest = max(len(each.check) for each in diagnoses)
    first = 2 + _LEVEL_WIDTH + 2 + longest + 2
    for each in sorted(diagnoses, key=lambda found: LEVELS.index(found.level)):
        head = Text.assemble("  ", (each.level.ljust(_LEVEL_WIDTH), _STYLES[each.level]), f"  {each.check:{longest}}  ")
        for text in _lines(each):
            whole = text.plain.startswith(_WHOLE)
            for part in (text,) if whole else text.wrap(out, max(_NARROWEST, out.width - first)):
                part.rstrip()
                out.print(Text.assemble(head, part), soft_wrap=True)
                head = Text(" " * first)


def _lines(found: Diagnosis) -> Iterator[Text]:
    yield Text(line(found.message))
    yield from (Text(f"| {line(each)}", "dim") for each in found.details)
    if found.where and found.level != "ok":
        yield Text(f"in {_short(line(found.where))}", "dim")
    if found.remedy:
        yield Text(line(found.remedy))
    yield from (Text(f"$ {line(each)}", "bold") for each in found.commands)


def _short(path: str) -> str:
    """Return a path with ~ for the user's folder."""
    home = os.environ.get("HOME", "")
    return f"~{path[len(home) :]}" if len(home) > 1 and path.startswith(f"{home}/") else path


def _summary(sections: Sequence[Section]) -> Text:
    counts = _counts(sections)
    problems = [f"{_titled(each.titles)}: {', '.join(dict.fromkeys(names))}" for each, names in _problems(sections)]
    bad = ", ".join(counted(counts[level], level) for level in ("problem", "warning") if counts[level])
    if not bad:
        return Text(f"No problem found ({counted(counts['ok'], 'check')}).", "green")
    style = "red" if problems else "yellow"
    where = f" ({'; '.join(problems)})" if problems else ""
    return Text(f"{bad}{where}, {counts['ok']} ok.", style)


def _problems(sections: Sequence[Section]) -> Iterator[tuple[Section, list[str]]]:
    for section in sections:
        names = [each.check for each in section.diagnoses if each.level == "problem"]
        if names:
            yield section, names


def _counts(sections: Iterable[Section]) -> Counter[str]:
    return Counter(each.level for section in sections for each in section.diagnoses)
