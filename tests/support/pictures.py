"""Small images and documents, made without a library."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from random import Random


def png(width: int = 4, height: int = 3, *, noise: int = 0) -> bytes:
    """Return a picture; `noise` random bytes in it can't be compressed."""
    rows = b"".join(b"\0" + bytes((120, 30, 10)) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    random = _chunk(b"noIs", Random(noise).randbytes(noise)) if noise else b""
    parts = _chunk(b"IHDR", head), random, _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def uri(content: bytes, kind: str = "image/png") -> str:
    """Return a data URI."""
    return f"data:{kind};base64,{b64encode(content).decode()}"


def pdf(*pages: str, encrypt: str = "", deflated: bytes = b"") -> bytes:
    """Return a PDF with a line of text on each page, or with `deflated` as its content; empty texts make no text."""
    numbers = [4 + 2 * index for index in range(len(pages))]
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    for number, text in zip(numbers, pages, strict=True):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode() if text else b""
        resources = "/Resources << /Font << /F1 3 0 R >> >> /MediaBox [0 0 612 792]"
        page = f"<< /Type /Page /Parent 2 0 R {resources} /Contents {number + 1} 0 R >>"
        objects[number] = page.encode()
        content, filtered = (deflated, b"/Filter /FlateDecode") if deflated else (content, b"")
        objects[number + 1] = b"<< %s /Length %d >>\nstream\n%s\nendstream" % (filtered, len(content), content)
    return _written(objects, encrypt)


def _written(objects: dict[int, bytes], encrypt: str) -> bytes:
    written, offsets = b"%PDF-1.4\n", list[int]()
    for number, body in objects.items():
        offsets.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start, size = len(written), len(objects) + 1
    trailer = f"<< /Size {size} /Root 1 0 R {encrypt}>>".encode()
    return written + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n%s\nstartxref\n%d\n%%%%EOF" % (
        size,
        table,
        trailer,
        start,
    )
