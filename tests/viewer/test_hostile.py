"""No text of a run becomes code, a request or a false address, whichever field has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from moa_mcp.findings import Analysis, Contradiction, PeerReview, Point, Standing
from moa_mcp.trace.trace import CallTrace, StepTrace, Trace
from moa_mcp.values import Comment, Completion, Message, Place, Tally, Votes
from moa_mcp.viewer import compared_page, page
from tests.support.browser import Opened
from tests.viewer.examples import example, replaced

if TYPE_CHECKING:
    from playwright import sync_api

RAN = "document.title='ran'"
ATTACKS = (
    f"<script>{RAN}</script>",
    f"</script><script>{RAN}</script>",
    f"</SCRIPT ><script>{RAN}</script>",
    "<!--<script>",
    "--><!-- ]]> </title></style></textarea></noscript>",
    f'<img src=x onerror="{RAN}">',
    f'<svg onload="{RAN}"><style>main{{display:none}}</style></svg>',
    f"<svg><script>{RAN}</script><foreignObject><iframe srcdoc='<script>{RAN}</script>'></foreignObject></svg>",
    f'<math><mtext><table><mglyph><style><img src=x onerror="{RAN}"></style></mglyph></table></mtext></math>',
    f'<math href="javascript:{RAN}"><mi xlink:href="javascript:{RAN}">x</mi></math>',
    f'<details open ontoggle="{RAN}"><input autofocus onfocus="{RAN}"><body onload="{RAN}">',
    f"<iframe src=\"javascript:{RAN}\"></iframe><object data=x><embed src=x><base href='https://example.invalid/'>",
    '<meta http-equiv="refresh" content="0;url=https://example.invalid/"><link rel=stylesheet href=x.css>',
    "<form action=https://example.invalid/><button>Send</button></form>",
    f"[click](javascript:{RAN})",
    f"[click](JaVaScRiPt&colon;{RAN})",
    f"[click](\x01javascript:{RAN})",
    f"[click](java\tscript:{RAN})",
    f"[click](vbscript:{RAN})",
    f"[click](data:text/html,<script>{RAN}</script>)",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](file:///etc/passwd) [click](blob:x) [click](//example.invalid)",
    "![x](https://example.invalid/x.png) ![x](data:image/svg+xml,<svg/>)",
    f'<javascript:{RAN}> <https://example.invalid/">',
    f'[x](https://example.invalid/"onmouseover="{RAN}) [x]: https://example.invalid/ "{RAN}"',
    "<style>*{display:none}</style> {background:url(https://example.invalid/)} @import 'x';",
    "\x1b]8;;https://example.invalid\x07link\x1b]8;;\x07 \x1b[31mred \x1b[2J\x9b31m",
    "\u202ereversed\u202c \u2066isolated \u200bzero\u200dwidth\ufeff",
    "\ud800 \udfff \u2028 \u2029 \x00 \ufffe",
    "__proto__",
    "constructor",
    "$& $' $` $1 ${document.title='ran'} {{1+1}} {\"$text\": 0}",
    '{"__proto__": {"run": 1}, "toString": null}',
    "=cmd|' /C calc'!A0",
    "`" * 2000,
    "[" * 3000 + "(" * 3000,
    "> " * 500 + "x",
    "- " * 500 + "x",
    "| a |\n|---|\n" + "| b |\n" * 200,
    "a" * 2000,
    "",
)
FOREIGN = (
    "script, img, svg, math, style, iframe, form, object, embed, base, meta, link, textarea, input:not(.long input)"
)


def everywhere(text: str) -> Trace:
    """Return a run with this text in place of every other, also where the example has none."""
    trace = example()
    trace.forked_from, trace.waiting, trace.error, trace.about_models = "0", "0", "0", ("0",)
    first = trace.steps[0]
    first.answers = tuple(replace(each, comments=(Comment("0", "0", each.place),)) for each in first.answers)
    first.tally = Tally((Votes("0", 2), Votes("1", 2)), 1)
    point, place = Point("0", (1,)), Place(1, 1)
    first.analysis = Analysis((place,), (point,), (Contradiction("0", (point,)),), (point,), (point,), ("0",))
    first.review = PeerReview((Standing("0", place, 1, 0.5, 1, 1),), 1)
    for call in (call for step in trace.steps for call in step.calls):
        call.window = "0"
        _noted(call)
    changed = replaced(trace, text)
    changed.planned = trace.planned
    return changed


def _noted(call: CallTrace) -> None:
    if isinstance(call.completion, Completion):
        call.completion = call.completion.noted("0")
    for attempt in call.attempts:
        attempt.parameters = {"stop": "0", "0": ["0"]}


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_text_in_every_field_of_two_runs_stays_text(opened: Opened, attack: str) -> None:
    settings = [(1, attack, attack, None), (None, attack, None, attack * 50)]
    tab = opened(compared_page(everywhere(attack), everywhere(f"{attack} and {attack}"), settings))
    assert tab.get_by_role("region", name="table of settings").locator("tbody tr").count() == 2
    assert_harmless(tab)
    tab.locator(".tabs button").nth(1).click()
    tab.locator(".call").nth(0).click()
    assert tab.locator(".call").count() == 9
    assert_harmless(tab)
    assert opened.quiet, opened.errors


def assert_harmless(tab: sync_api.Page) -> None:
    tab.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    main = tab.locator("main")
    assert tab.title() != "ran"
    assert main.locator(FOREIGN).count() == 0
    assert set(tab.eval_on_selector_all("a", "links => links.map(link => link.protocol)")) <= {"https:", "http:"}
    names = set(main.evaluate("main => [...main.querySelectorAll('*')].flatMap(each => each.getAttributeNames())"))
    assert not {name for name in names if name.startswith(("on", "src", "xlink", "action"))}
    assert not set(main.inner_text()) & set("\x1b\x00\x9b\u202e\u2066\u202c\u200b\ufeff\ud800\ufffe")


def test_the_page_of_one_run_is_as_harmless(opened: Opened) -> None:
    tab = opened(page(everywhere(" ".join(ATTACKS[:30]))))
    assert_harmless(tab)
    assert opened.quiet, opened.errors


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[the bank](https://xn--pple-43d.com/login)", "the bank (xn--pple-43d.com)"),
        ("[https://apple.com](https://\u0430pple.com/)", "https://apple.com (xn--pple-43d.com)"),
        ("[https://good.example](https://bad.example/x)", "https://good.example (bad.example)"),
        ("[x](https://good.example@bad.example/)", "x (bad.example)"),
        ("[x](https://good.example%2F@bad.example:444/)", "x (bad.example:444)"),
        ("[\u202egood](https://bad.example/)", "⟨U+202E⟩good (bad.example)"),
        ("<https://good.example/a>", "https://good.example/a"),
        ("[x](https://)", "x (https://)"),
    ],
)
def test_a_link_shows_where_it_leads(opened: Opened, text: str, shown: str) -> None:
    trace = example()
    trace.answer = f"{text}\n\n*and more*"
    assert opened(page(trace)).locator(".answer p").first.inner_text() == shown
    assert opened.quiet


def test_a_megabyte_in_an_answer_a_prompt_and_a_name_is_shown_without_a_freeze(opened: Opened) -> None:
    long = "All work and no play. " * 50_000
    trace = example()
    trace.answer = long
    trace.steps[0].calls[0].completion = Completion(long, "m")
    trace.steps[0].calls[1].messages = (Message("user", long),)
    trace.steps[0].calls[2].agent = long
    tab = opened(page(trace))
    assert len(tab.locator(".answer").inner_text()) > 1_000_000
    tab.locator('[data-call="1.2.1"]').click()
    assert len(tab.locator("#prompt pre").inner_text()) > 1_000_000
    assert tab.evaluate("document.documentElement.scrollWidth") == 1200
    assert opened.quiet


def test_a_prompt_with_ten_thousand_false_marker_lines_is_shown_at_once(opened: Opened) -> None:
    lines = "".join(f"----- answer {number} of 9 ({number:06x}) -----\n" for number in range(10_000))
    trace = example()
    trace.steps[0].calls[0].messages = (Message("user", lines),)
    tab = opened(page(trace))
    took = tab.evaluate(
        "() => { const begin = performance.now(); document.querySelector('[data-call=\"1.1.1\"]').click();"
        " return performance.now() - begin; }"
    )
    assert tab.locator("#prompt mark").count() == 0
    assert took < 5000


def test_many_short_sentences_are_compared_without_a_freeze(opened: Opened) -> None:
    trace = example()
    calls = [
        CallTrace(
            call.place._replace(number=number), f"agent {number}", call.messages, completion=Completion(text, "m")
        )
        for number in range(1, 25)
        for call in trace.steps[0].calls[:1]
        for text in [" ".join(f"word{number} of {each}." for each in range(3000))]
    ]
    trace.steps = [StepTrace(1, "propose", calls)]
    tab = opened(page(trace))
    assert tab.locator(".card").count() == 12
    assert opened.quiet


def test_data_keeps_every_text_as_it_is(opened: Opened) -> None:
    trace = everywhere("__proto__</script>")
    tab = opened(page(trace))
    data = json.loads(tab.locator("#run").text_content() or "")
    assert data["run"]["question"]["text"] == "__proto__</script>"
