"""Images as users give them: a data URI, an https address, or the path of a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from moa_mcp.files.refused import FileRefused
from moa_mcp.images import MOST_BYTES, Image, ImageRefused, checked, image_of_bytes, read_image

_SCHEMES = frozenset({"data", "http", "https"})
_SHOWN = 80
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""The path was resolved: a link there was made since then."""
_NOT_BLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def images_of(given: Iterable[str], folders: Sequence[Path] | None = None) -> tuple[Image, ...]:
    """Return the images of a question. With `folders`, paths must lead into one of these.

    Raises:
        FileRefused: one can't be used, or all together are too many or too large; says which and why.

    """
    images = tuple(_image(each, folders) for each in given)
    try:
        return checked(images)
    except ImageRefused as error:
        raise FileRefused(str(error)) from error


def _image(given: str, folders: Sequence[Path] | None) -> Image:
    try:
        if given.strip().partition(":")[0].lower() in _SCHEMES:
            return read_image(given)
        path = _path(given)
        if folders is None:
            return image_of_bytes(_content(path))
        return image_of_bytes(_content(_within(path, given, folders), _NO_LINK))
    except ImageRefused as error:
        raise FileRefused(f"image {_shown(given)} {error}") from error


def _path(given: str) -> Path:
    """Return the path of a file, also of a ``file://`` address. Raises `FileRefused`."""
    try:
        address = urlsplit(given) if given.startswith("file:") else None
        path = Path(given if address is None else unquote(address.path)).expanduser()
        os.fsencode(path)
    except (ValueError, RuntimeError) as error:  # RuntimeError: the home folder of an unknown user
        raise FileRefused(f"image {_shown(given)} is not a valid path", "Check the path.") from error
    if "\0" in str(path):
        raise FileRefused(f"image {_shown(given)} is not a valid path", "Check the path.")
    return path


def _within(path: Path, given: str, folders: Sequence[Path]) -> Path:
    """Return the file that a path leads to through links and ``..``. Raises `FileRefused`.

    A path outside of the folders is refused alike whether there is a file or not.
    """
    real = Path(os.path.realpath(path))
    if path.is_absolute() and any(real.is_relative_to(os.path.realpath(folder.expanduser())) for folder in folders):
        return real
    if not folders:
        raise FileRefused(
            f"image {_shown(given)} is neither a data URI nor an https address",
            "Send data:image/png;base64,… or https://…; paths need image_folders in [limits].",
        )
    names = ", ".join(map(str, folders))
    raise FileRefused(
        f"image {_shown(given)} is not in a folder from which this server takes images ({names})",
        "Give the absolute path of a file there, a data URI or an https address.",
    )


def _content(path: Path, flags: int = 0) -> bytes:
    """Return the content of an image file, which is not read if it is too large. Raises `FileRefused`."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | _NOT_BLOCKING | flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileRefused(f"image {path} is not a file")
            return file.read(MOST_BYTES + 1)
    except IsADirectoryError as error:
        raise FileRefused(f"image {path} is a folder; name a file in it") from error
    except OSError as error:
        raise FileRefused(f"can't read image {path}: {error.strerror}", "Check the path.") from error


def _shown(given: str) -> str:
    """Return the beginning of what was given; of a data URI only its type."""
    if given.lstrip()[:5].lower() == "data:":
        return f"{given.lstrip().partition(',')[0][:_SHOWN]},…"
    return given if len(given) <= _SHOWN else f"{given[: _SHOWN - 1]}…"
