"""The text of documents, and which files are refused, with the reason and the remedy."""

from __future__ import annotations

import zlib

import pytest

from moa_mcp.files.refused import FileRefused
from moa_mcp.files.texts import check_text, is_pdf, pdf_text
from tests.support.pictures import pdf, png

STANDARD = "/Encrypt << /Filter /Standard /V 1 /R 2 /O <{0}> /U <{0}> /P -4 >> /ID [<00> <00>] ".format("41" * 32)
BOMB = zlib.compress(bytes(200_000_000), 9)


def test_the_text_of_a_pdf_comes_page_by_page() -> None:
    content = pdf("The cube rule", "of food")
    assert is_pdf(content)
    assert pdf_text("f.pdf", content) == "--- page 1 ---\nThe cube rule\n\n--- page 2 ---\nof food"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"A PDF begins with %PDF-1.7.", False),
        (b"\n%PDF-1.7\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", True),
        (b"x\0%PDF-1.7\n", True),
        (b"x", False),
    ],
)
def test_a_pdf_is_told_from_a_text_about_one(content: bytes, found: bool) -> None:
    assert is_pdf(content) is found


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pdf("", ""), "f.pdf has no text: its pages are probably scanned"),
        (pdf("Secret", encrypt=STANDARD), "f.pdf is protected by a password"),
        (b"%PDF-1.7\nnothing", "f.pdf is a damaged PDF"),
        (pdf("bomb", deflated=BOMB), "f.pdf is too large to read"),
    ],
)
def test_a_pdf_without_readable_text_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(FileRefused) as refused:
        pdf_text("f.pdf", content)
    assert str(refused.value) == why
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (png(), "is an image"),
        (b"PK\x03\x04 a .docx", "is an Office document or an archive"),
        (b"\x7fELF\0\0", "has NUL bytes"),
    ],
)
def test_a_file_that_holds_no_text_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(FileRefused, match=why):
        check_text("f", content)
    check_text("f", "plain text, even in UTF-16".encode("utf-16"))
