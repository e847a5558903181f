"""Draws the README's picture of a run: `python tools/picture.py` runs an offline pipeline and writes docs/run.svg.

The command runs at a pseudo-terminal. The picture shows what is on the screen at its end.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
COLUMNS, ROWS = 100, 40
ARGUMENTS = ("ask", "together_moa", "What is 17 * 23?", "--offline", "--seed", "4")
ERASED = re.compile(r"\r(?:\x1b\[(?:1A|2K))+")
"""What rich writes to erase a frame of a live display."""
NO_STYLE = re.compile(r"\x1b\[\?25[lh]|\r")
FONTS = re.compile(r"@font-face \{\{.*?\}\}\n", re.DOTALL)
"""The template's fonts come from another server; without them, a viewer uses its own monospaced font."""


def main() -> None:
    """Write the picture to the file that is named, by default docs/run.svg."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "run.svg"
    target.write_text(drawn(shown(recorded())), "utf-8")


def recorded() -> str:
    """Return all that the command writes to its terminal."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    with TemporaryDirectory() as home:
        own = {"HOME": home, "TERM": "xterm-256color", "MOA_MCP_JOURNAL": "none"}
        environ = own | {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
        command = [sys.executable, "-m", "moa_mcp", *ARGUMENTS]
        with subprocess.Popen(command, cwd=ROOT, env=environ, stdin=terminal, stdout=terminal, stderr=terminal) as run:
            os.close(terminal)
            written = b"".join(pieces(screen))
    os.close(screen)
    if run.returncode:
        sys.exit(written.decode())
    return written.decode()


def pieces(screen: int) -> Iterator[bytes]:
    """Yield what is written until the terminal closes, for which Linux raises an error."""
    try:
        while piece := os.read(screen, 65536):
            yield piece
    except OSError:
        return


def shown(written: str) -> str:
    """Return what is printed after the last frame of the live display."""
    return NO_STYLE.sub("", ERASED.split(written)[-1]).strip("\n")


def drawn(end: str) -> str:
    """Return the picture as SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    command = " ".join(f'"{word}"' if " " in word else word for word in ("moa-mcp", *ARGUMENTS))
    prompt = Text.assemble(("$ ", "green"), (command, "bold"))
    for part in (prompt, Text.from_ansi(end)):
        console.print(part, highlight=False)
    return console.export_svg(title="moa-mcp", code_format=FONTS.sub("", CONSOLE_SVG_FORMAT), unique_id="run")


if __name__ == "__main__":
    main()
