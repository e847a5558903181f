"""Reads images from data URIs, addresses and bytes, and refuses what no provider takes. Pure.

Formats are recognized by content, never by a name or a declared type.
"""

from __future__ import annotations

import binascii
import hashlib
import ipaddress
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from moa_mcp.images.formats import KNOWN, header, media_type
from moa_mcp.images.image import Image

MOST_IMAGES = 10
MOST_BYTES = 5 * 2**20
"""Largest image. Anthropic takes no larger one."""
MOST_TOTAL_BYTES = 15 * 2**20
"""Largest sum of all images of a question: 20 MiB in base64, as requests may have to most providers."""
_LONGEST_ADDRESS = 4096
_MIB = 2**20
_DATA = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")
_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*")
"""A host, in any script. Programs read other characters differently: `https://127.0.0.1\\.example.com`."""
_TO_IPV4 = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")))
"""IPv6 addresses with an IPv4 address inside, which may be private."""
_MOST_PIXELS = 65_535
"""On one side. A PNG can state four billion, and estimates would believe it."""


class ImageRefused(ValueError):
    """The image can't be used; the message says why and what would be right."""


def read_image(given: str) -> Image:
    """Return the image of a data URI or an https address. Raises `ImageRefused`."""
    given = given.strip()
    scheme = given.partition(":")[0].lower()
    if scheme == "data":
        return image_of_bytes(_decoded(given))
    if scheme == "https":
        return Image(_address(given))
    if scheme == "http":
        raise ImageRefused("addresses of images must start with https://, not http://; give an https address or a file")
    raise ImageRefused("should be a data URI (data:image/png;base64,…) or an https address")


def image_of_bytes(data: bytes) -> Image:
    """Return the image that a file holds. Raises `ImageRefused`."""
    if len(data) > MOST_BYTES:
        raise ImageRefused(f"has {_mib(len(data))}; an image may have {_mib(MOST_BYTES)}; send a smaller one")
    if media_type(data) is None:
        raise ImageRefused(f"is not an image that models take; it should be {KNOWN}")
    found = header(data)
    if found is None:
        raise ImageRefused("is damaged: its header has no width and height; save the image again")
    if max(found.width, found.height) > _MOST_PIXELS:
        size = f"{found.width:,} x {found.height:,} pixels"
        raise ImageRefused(f"says that it has {size}; a side may have {_MOST_PIXELS:,}; send a smaller one")
    url = f"data:{found.media_type};base64,{b64encode(data).decode()}"
    return Image(url, found.media_type, len(data), found.width, found.height, hashlib.sha256(data).hexdigest())


def checked(images: Sequence[Image]) -> tuple[Image, ...]:
    """Return the images of a question. Raises `ImageRefused` if they are too many or too large together."""
    if len(images) > MOST_IMAGES:
        raise ImageRefused(f"there are {len(images)} images; a question may have {MOST_IMAGES}; send fewer")
    total = sum(image.size for image in images)
    if total > MOST_TOTAL_BYTES:
        raise ImageRefused(
            f"the images have {_mib(total)} together; those of a question may have {_mib(MOST_TOTAL_BYTES)}; send "
            "fewer or smaller ones"
        )
    return tuple(images)


def _decoded(uri: str) -> bytes:
    start = _DATA.match(uri)
    if start is None or not start[2].lower().endswith(";base64"):
        raise ImageRefused("is a data URI, but not in base64; it should start with data:image/png;base64,")
    if len(uri) > 2 * MOST_BYTES:
        raise ImageRefused(f"is too large: an image may have {_mib(MOST_BYTES)}; send a smaller one")
    try:
        encoded = _SPACE.sub("", unquote(uri[start.end() :])).rstrip("=")
        return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageRefused("is a data URI with invalid base64; encode the image again") from error


def _address(address: str) -> str:
    if len(address) > _LONGEST_ADDRESS:
        raise ImageRefused(f"is an address of more than {_LONGEST_ADDRESS} characters; give a shorter one or the file")
    try:
        parts = urlsplit(address)
        host = normalize("NFKC", parts.hostname or "").rstrip(".")  # as those read it that look it up
        has_login = parts.username is not None
        _ = parts.port
    except ValueError as error:
        raise ImageRefused("is not a valid address; give one that starts with https://") from error
    if not host or not address.isprintable() or " " in address:
        raise ImageRefused("is not a valid address; give one that starts with https://")
    if not (":" in host or _NAME.fullmatch(host)):
        raise ImageRefused(f"has the host {host}, which is not a valid name; give the address as a browser shows it")
    if has_login:
        raise ImageRefused("is an address with a user name or password, which models would see; give the file instead")
    if _is_private(host):
        raise ImageRefused(f"is at {host}, which providers can't and must not reach; give the file instead")
    return address


def _is_private(host: str) -> bool:
    """Whether a host is in a private network, as far as its name says: names are not resolved."""
    try:
        found = ipaddress.ip_address(host)
        return not found.is_global or any(found in network for network in _TO_IPV4)
    except ValueError:
        last = host.rpartition(".")[2]  # a number is part of another spelling of an IPv4 address, such as 127.1
        named = "." in host and ":" not in host
        return not named or host.endswith(_LOCAL_NAMES) or _NUMBER.fullmatch(last) is not None


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f} MiB"
