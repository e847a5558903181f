"""The text of a document: of a PDF file through an optional library, and of other files that hold text."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from moa_mcp.files.refused import FileRefused
from moa_mcp.images.formats import media_type

_SECONDS = 60.0
_MOST_BYTES = 50 * 2**20
_PDF = b"%PDF-"
_PDF_BEGINS_WITHIN = 1024
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_PROBLEMS = {
    "encrypted": ("{name} is protected by a password", "Save it without one, or pass its text."),
    "broken": ("{name} is a damaged PDF", "Save it again, or pass its text."),
    "large": ("{name} is too large to read", "Pass only the pages that matter."),
    "pages": ("{name} has more than 1000 pages", "Pass only the pages that matter."),
    "empty": (
        "{name} has no text: its pages are probably scanned",
        "Pass its pages as images with --image, or the text from an OCR program.",
    ),
}


def is_pdf(content: bytes) -> bool:
    """Whether a file is a PDF. Something may be before its mark, as before that in a text about PDF."""
    if content.lstrip().startswith(_PDF):
        return True
    return _PDF in content[:_PDF_BEGINS_WITHIN] and not _is_text(content)


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def check_text(name: str, content: bytes) -> None:
    """Raise `FileRefused` for a file that holds no text."""
    if media_type(content) is not None:
        raise FileRefused(f"{name} is an image, not a text", "Pass it with --image.")
    if content.startswith((_ZIP, _OLD_OFFICE)):
        raise FileRefused(f"{name} is an Office document or an archive", "Save it as a PDF or as text.")
    if b"\0" in content and not content.startswith(_UTF_16):
        raise FileRefused(f"{name} is not a text file: it has NUL bytes", "Pass its text.")


def pdf_text(name: str, content: bytes) -> str:
    """Return the text of a PDF, with its pages marked. Raises `FileRefused`.

    Another process reads it, with limits of time and memory: a file can be made to use up both.
    """
    if find_spec("pypdf") is None:
        raise FileRefused(f"{name} is a PDF, which needs the package pypdf", "Run pip install 'moa-mcp[files]'.")
    if len(content) > _MOST_BYTES:
        raise _refused("large", name)
    command = [sys.executable, "-P", "-m", "moa_mcp.files.pdf_process"]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"problem": "broken"}
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise _refused("large", name) from error
    if "problem" in found:
        raise _refused(str(found["problem"]), name)
    pages: list[str] = found["pages"]
    return "\n\n".join(f"--- page {number} ---\n{page}" for number, page in enumerate(pages, 1))


def _refused(problem: str, name: str) -> FileRefused:
    message, remedy = _PROBLEMS[problem]
    return FileRefused(message.format(name=name), remedy)
