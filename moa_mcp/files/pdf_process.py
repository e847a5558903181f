"""Reads the PDF on stdin and writes its pages as JSON to stdout. `texts` starts it as a process of its own."""

from __future__ import annotations

import io
import json
import logging
import sys
from contextlib import suppress

_MOST_PAGES = 1000
_MOST_CHARACTERS = 10_000_000
_MOST_MEMORY = 2 * 2**30


def main() -> None:
    """Write ``{"pages": […]}``, or ``{"problem": …}`` if there is no text."""
    _limit_memory()
    logging.disable()
    json.dump(_read(sys.stdin.buffer.read()), sys.stdout)


def _read(content: bytes) -> dict[str, object]:
    from pypdf import PdfReader  # noqa: PLC0415  optional

    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):  # many files are encrypted without a password
            return {"problem": "encrypted"}
        if len(reader.pages) > _MOST_PAGES:
            return {"problem": "pages"}
        pages, characters = list[str](), 0
        for page in reader.pages:
            pages.append(page.extract_text().strip())
            characters += len(pages[-1])
            if characters > _MOST_CHARACTERS:
                return {"problem": "large"}
    except MemoryError:
        return {"problem": "large"}
    except Exception as error:  # noqa: BLE001  a damaged file raises anything; the process does nothing else
        return {"problem": _problem(error)}
    return {"pages": pages} if characters else {"problem": "empty"}


def _problem(error: Exception) -> str:
    """Return what is wrong with a file: algorithms that need another package, too much in it, or damage."""
    names = {each.__name__ for each in type(error).__mro__}
    if names & {"DependencyError", "NotImplementedError", "FileNotDecryptedError", "WrongPasswordError"}:
        return "encrypted"
    return "large" if "LimitReachedError" in names else "broken"


def _limit_memory() -> None:
    with suppress(ImportError, OSError, ValueError):  # there is no such module on Windows
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


if __name__ == "__main__":
    main()
