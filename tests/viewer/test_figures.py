"""The page writes amounts as the terminal does, and removes the same characters from texts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from moa_mcp.text.money import dollars
from moa_mcp.text.visible import visible

if TYPE_CHECKING:
    from playwright import sync_api


@pytest.fixture(scope="module")
def tab(browser: sync_api.Browser) -> Iterator[sync_api.Page]:
    with browser.new_context() as context:
        yield context.new_page()


def results(tab: sync_api.Page, module: str, function: str, values: list[object]) -> list[str]:
    """Return what a function of a module returns for each of these values."""
    source = (files("moa_mcp.viewer") / f"{module}.js").read_text("utf-8").replace("export ", "")
    shown: list[str] = tab.evaluate(f"values => {{ {source}; return values.map(each => {function}(each)); }}", values)
    return shown


def costs() -> list[Decimal]:
    drawn = random.Random(7)
    halves = [Decimal(number) / 2 / 10**places for places in (2, 4, 6) for number in range(1, 400, 2)]
    edges = ["0", "1e-12", "9.999e-7", "0.000001", "0.0000005", "0.009999", "0.0099999", "0.00999999", "0.01", "0.995"]
    wide = ["0.99995", "0.999949", "1", "1.005", "1.00005", "1.0049", "12", "12.5", "12.3456", "1234.5", "99999.999951"]
    free = [Decimal(f"{10 ** drawn.uniform(-8, 5):.{drawn.randrange(1, 12)}g}") for _ in range(3000)]
    return [*halves, *map(Decimal, edges), *map(Decimal, wide), *free]


def test_amounts_are_those_of_the_terminal(tab: sync_api.Page) -> None:
    amounts = costs()
    shown = results(tab, "figures", "dollars", [*map(float, amounts), None])
    assert shown == [*map(dollars, amounts), dollars(None)]
    assert "$0" not in shown[1:400]


@pytest.mark.parametrize("around", [("a", "b"), ("ب", "ب"), ("👩", "👩"), ("", "")])
def test_characters_are_removed_or_marked_as_in_the_terminal(tab: sync_api.Page, around: tuple[str, str]) -> None:
    before, after = around
    ranges = (range(0xD800), range(0xE000, 0x20000), range(0xE0000, 0xE0400), (0xF0000, 0x10FFFF, 0x2FFFE, 0x100001))
    kept = {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}  # the page does not judge variation selectors
    numbers = [number for each in ranges for number in each if number not in kept]
    texts = [f"{before}{chr(number)}{after}" for number in numbers]
    shown = results(tab, "elements", "clean", [*texts])
    different = [
        f"U+{number:04X}" for number, one, text in zip(numbers, shown, texts, strict=True) if one != visible(text)
    ]
    assert different == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b]8;;https://a.example\x07link\x1b]8;;\x1b\\", "red and link"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("\u202e\u202e\u2066x", "⟨U+202E⟩x"),
        ("family 👨\u200d👩\u200d👧, flag 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", None),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645, \u0915\u094d\u200d\u0937", None),
        ("\U000e0041\U000e0042\U000e0043", "⟨U+E0041⟩"),
    ],
)
def test_what_scripts_and_emoji_need_stays(tab: sync_api.Page, text: str, shown: str | None) -> None:
    assert results(tab, "elements", "clean", [text]) == [text if shown is None else shown]
