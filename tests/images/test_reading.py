"""Images are told by their content; what no provider takes is refused with the reason."""

from __future__ import annotations

import struct
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.images import MOST_BYTES, Image, ImageRefused, checked, image_of_bytes, read_image
from moa_mcp.images.formats import header
from moa_mcp.images.tokens import ImageTokens, image_tokens
from tests.support.pictures import png, uri

JPEG = b"\xff\xd8\xff\xe0\x00\x04\xaa\xbb\xff\xff\xc2\x00\x11\x08" + struct.pack(">HH", 600, 800) + b"\x03" + bytes(9)
PNG = uri(png(5, 3)).partition(",")[2]
GIF = b"GIF89a" + struct.pack("<HH", 30, 20) + bytes(4)
WEBP = {
    "VP8X": b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (799).to_bytes(3, "little") + (599).to_bytes(3, "little"),
    "VP8L": b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0/" + (799 | 599 << 14).to_bytes(4, "little"),
    "VP8 ": b"RIFF\0\0\0\0WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a" + struct.pack("<HH", 800, 600),
}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (png(640, 480), ("image/png", 640, 480)),
        (JPEG, ("image/jpeg", 800, 600)),
        (GIF, ("image/gif", 30, 20)),
        *((each, ("image/webp", 800, 600)) for each in WEBP.values()),
    ],
)
def test_the_type_and_size_of_an_image_are_read_from_its_bytes(content: bytes, found: tuple[str, int, int]) -> None:
    image = image_of_bytes(content)
    assert (image.media_type, image.width, image.height, image.size) == (*found, len(content))
    assert read_image(uri(content, "image/tiff")) == image  # whatever type is declared


@pytest.mark.parametrize(
    "variant",
    [
        f"DATA:IMAGE/PNG;charset=utf-8;BASE64,{PNG}",
        f" data:;base64,\n{PNG[:40]}\r\n{PNG[40:]}\n",
        f"data:image/png;base64,{quote(PNG, safe='')}",
        f"data:image/png;base64,{PNG.rstrip('=')}",
    ],
)
def test_every_spelling_of_a_data_uri_is_the_same_image(variant: str) -> None:
    assert read_image(variant) == image_of_bytes(png(5, 3))


@given(st.sampled_from([png(), JPEG, GIF, *WEBP.values()]), st.data())
def test_a_header_that_is_cut_off_or_changed_is_never_an_unexpected_error(content: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(content)))
    at = data.draw(st.integers(0, len(content) - 1))
    changed = content[:at] + data.draw(st.binary(min_size=1, max_size=4)) + content[at + 1 : end]
    assert header(changed) is None or header(changed) is not None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("a.png", "should be a data URI"),
        ("http://example.com/a.png", "must start with https://"),
        ("data:image/png,abc", "not in base64"),
        ("data:image/png;base64,a", "invalid base64"),
        (uri(b"%PDF-1.4"), "is not an image"),
        (uri(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"), "is not an image"),
        (uri(png()[:20]), "is damaged"),
        (uri(bytes(MOST_BYTES + 1)), "an image may have 5.0 MiB"),
        (f"data:image/png;base64,{'A' * 3 * MOST_BYTES}", "is too large"),
        ("https://", "is not a valid address"),
        ("https://exa mple.com/", "is not a valid address"),
        ("https://[::1", "is not a valid address"),
        ("https://me:secret@example.com/a.png", "with a user name or password"),
        (f"https://example.com/{'a' * 5000}", "more than 4096 characters"),
        *(
            (f"https://{host}/a.png", "providers can't and must not reach")
            for host in (
                *("127.0.0.1", "localhost", "10.1.2.3", "[::1]", "169.254.169.254", "127.1", "0x7f.1", "nas"),
                *(
                    "127.0.0.\u2460",
                    "\uff4c\uff4fcalhost",
                    "a.\uff4cocal",
                    "nas.lan",
                    "[64:ff9b::7f00:1]",
                    "[2002:7f00:1::]",
                ),
                *("[::ffff:127.0.0.1]", "[v1.fe80::a]"),
            )
        ),
        *(
            (f"https://{host}/a.png", "which is not a valid name")
            for host in ("127.0.0.1\\.example.com", "127.0.0.%31", "example..com", "127\u30020\u30020\u30021")
        ),
        (uri(png()[:16] + struct.pack(">II", 2**32 - 1, 1)), "4,294,967,295 x 1 pixels; a side may have 65,535"),
        (uri(b"\xff\xd8" + b"\xff" * 100_000), "is damaged"),
        (f"data:image/png;base64x,{PNG}", "not in base64"),
    ],
)
def test_what_no_provider_takes_is_refused_with_the_reason(given: str, why: str) -> None:
    with pytest.raises(ImageRefused) as refused:
        read_image(given)
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_question_has_a_limited_number_of_images_and_of_bytes() -> None:
    small, large = image_of_bytes(png()), image_of_bytes(png(noise=5_000_000))
    assert checked([small] * 10) == (small,) * 10
    with pytest.raises(ImageRefused, match="there are 11 images"):
        checked([small] * 11)
    with pytest.raises(ImageRefused, match=r"19\.1 MiB together"):
        checked([large] * 4)


def test_the_description_of_an_image_holds_neither_its_content_nor_the_query_of_its_address() -> None:
    assert str(image_of_bytes(png())).startswith("PNG, 4 x 3, 1 kB, sha256 ")
    address = read_image("https://example.com/a.png?signature=secret")
    assert str(address) == "https://example.com/a.png"
    assert "secret" not in repr(address)


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        ("openai/gpt-4o", (1024, 1024), 765),  # as in the documentation of OpenAI
        ("openai/gpt-4o", (2048, 4096), 1105),
        ("openai/gpt-5-nano", (1024, 1024), 2520),
        ("anthropic/claude-sonnet-4-5", (1000, 1000), 1296),
        ("anthropic/claude-sonnet-4-5", (4000, 4000), 1600),
        ("anthropic/claude-opus-5", (4000, 4000), 4784),
        ("gemini/gemini-2.5-flash", (300, 300), 258),
        ("gemini/gemini-3.5-flash", (4000, 4000), 1120),
        ("xai/grok-4", (900, 448), 1024),
    ],
)
def test_the_tokens_of_an_image_follow_the_documentation_of_its_models_maker(
    model: str, size: tuple[int, int], tokens: int
) -> None:
    assert image_tokens([Image("data:", "image/png", 1, *size)], model).expected == tokens


@given(st.sampled_from(["gpt-4o", "gpt-4o-mini", "gpt-6-luna", "claude-opus-5", "gemini-2.5-pro", "grok-4", "llava"]))
def test_an_image_of_an_unknown_size_has_at_most_as_many_tokens_as_the_largest_one(model: str) -> None:
    unknown = image_tokens([Image("https://example.com/a.png")], model)
    for size in ((10, 10), (8000, 8000), (1000, 8000), (512, 513)):
        known = image_tokens([Image("data:", "image/png", 1, *size)], model)
        assert known.least <= known.expected <= known.most <= unknown.most
    assert image_tokens([], model) == ImageTokens()
