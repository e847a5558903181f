"""Separates reasoning from the answer where a model writes both in one text. Pure.

Reasoning is recognised by the format of a model family, and only in the places where that format has it: at the
beginning of the text, as a channel, or between the parts of an answer (`interleaved`). An answer about such tags stays
unchanged. `reasoning_stream` does the same for a text that is still arriving.

The formats, as documented by chat templates and the reasoning parsers of inference servers: XML tags (DeepSeek R1,
Qwen, GLM, MiniMax, EXAONE, Seed-OSS, ERNIE, Hunyuan), `[THINK]` (Magistral), harmony channels (gpt-oss), channels of
Gemma 4, `<|begin_of_thought|>` (OpenThinker), `<|START_THINKING|>` (Command A), ◁think▷ (Kimi-VL), `<unused94>`
(MedGemma), `<|inner_prefix|>` (Apertus), sentences (Granite 3.2), and the conversions of Ollama, Open WebUI and Poe.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from moa_mcp.providers.replies import interleaved
from moa_mcp.providers.replies.reasoning_marks import IS_SPOKEN_OF, MENTION, OPENING, closed, closings, is_mentioned

_CLOSING_ALONE = re.compile(
    r"</(?:(?:seed:|mm:|antml:|longcat_)?think(?:ing)?|thoughts?|reasoning)\s*>"
    r"|\[/THINK(?:ING)?\]|◁/think▷|<\|end_of_(?:thought|thinking)\|>|<\|END_THINKING\|>"
    r"|<\|/think(?:ing)?\|>|<unused95>|<channel\|>|<\|inner_suffix\|>",
    re.IGNORECASE,
)
"""End marks of reasoning whose opening mark is in the chat template."""
_WRAPPED = re.compile(
    r"\s*(?:<(?P<xml>answer|response|output|final|final_answer|solution)>|<\|begin_of_(?P<of>solution|answer|response)\|>"
    r"|<\|START_(?P<start>RESPONSE|TEXT|ANSWER)\|>)",
    re.IGNORECASE,
)
_OF_TURNS = re.compile(
    r"(?:\s*(?:<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end_of_turn|end|return|END_RESPONSE|END_TEXT|"
    r"END_OF_TURN_TOKEN|end_of_solution|end_of_response)\|>|<end_of_turn>|<turn\|>|<eos>|<\uff5cend▁of▁sentence\uff5c>))+\s*\Z"
    r"|\s*</s>\s*\Z",
    re.IGNORECASE,
)
"""End-of-turn tokens, which some servers leave in the text."""
_LONGEST_TAIL = 400
"""Characters at the end of a text that are searched for such tokens."""
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(?P<name>\w+)(?P<header>[^<]{0,400}(?:<\|constrain\|>[^<]{0,400})?)<\|message\|>"
    r"(?P<body>.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
_HARMONY_BEGINS = re.compile(r"\s*(?:<\|start\|>\s*assistant\s*)?<\|channel\|>")
_HARMONY_FINAL = re.compile(
    r"<\|(?:end\|>\s*(?:<\|start\|>\s*assistant\s*)?|start\|>\s*assistant\s*)<\|channel\|>\s*final[^<]{0,100}(?:<\|constrain\|>[^<]{0,100})?<\|message\|>"
)
_BARE_HARMONY = re.compile(r"\s*(?:assistant)?analysis(?=[A-Z][a-z'\u2019]* |[A-Z]\b|[a-z])")
"""Harmony without its special tokens, which some servers drop: ``analysisWe need …assistantfinalParis``."""
_BARE_FINAL = "assistantfinal"
_OLLAMA = re.compile(r"\s*Thinking\.\.\.\s*\n(?P<thought>.*?)\n?\.\.\.done thinking\.", re.DOTALL)
_POE = re.compile(r"\s*\*Thinking(?:\.\.\.|…)\*\s*(?P<thought>(?:>[^\n]*(?:\n|\Z))+)")
_BLANK = re.compile(
    r"(?:[\s\ufeff\u200b\u2060\0]|<\|im_start\|>\s*assistant|<\|assistant\|>|<\uff5cAssistant\uff5c>|"
    r"<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<start_of_turn>\s*model)*"
)
"""What may precede reasoning, including the header of a turn."""


class Split(NamedTuple):
    """The reasoning and the answer of a text."""

    reasoning: str
    text: str


def split(text: str) -> Split:
    """Separate the reasoning in a text from the answer; a text without reasoning is the answer, unchanged."""
    if has_no_marks(text):
        return Split("", text)
    found = _channels(text) or _bare_channels(text) or _quoted(text) or _blocks(text) or _closed_alone(text)
    reasoning, answer = found if found is not None else ("", text)
    more, answer = interleaved.taken_out(answer)
    if found is None:
        return Split(joined(*more), _without_end(answer))
    return Split(joined(reasoning, *more), _without_end(_unwrapped(answer.lstrip())))


def has_no_marks(text: str) -> bool:
    """Whether a text contains no mark that can begin or end reasoning, so that all of it is the answer."""
    if "<" in text or "[" in text or "◁" in text:
        return False
    return not text[:_LONGEST_HEAD].lstrip().startswith(_BEGINS_IN_WORDS)


_BEGINS_IN_WORDS = ("analysis", "assistantanalysis", "Here", "*Thinking", "Thinking...")
_LONGEST_HEAD = 200
"""Characters that are searched for such a beginning."""


def joined(*parts: str) -> str:
    """Join reasoning from several places."""
    return "\n\n".join(part for part in (each.strip() for each in parts) if part)


def _channels(text: str) -> Split | None:
    """Read harmony channels: only the final one is the answer (OpenAI's harmony format)."""
    if "<|channel|>" not in text:
        return None
    begins = _HARMONY_BEGINS.match(text)
    final = None if begins else _HARMONY_FINAL.search(text)
    if begins is None and final is None:
        return None
    start = 0 if begins else text.find("<|channel|>")
    before = "" if begins else re.sub(r"(?:<\|end\|>)?\s*(?:<\|start\|>\s*assistant\s*)?\Z", "", text[:start])
    messages = list(_CHANNEL.finditer(text, start))
    answers = [each["body"] for each in messages if each["name"] == "final"]
    thought = [each["body"] for each in messages if each["name"] != "final"]
    return Split(joined(before, *thought), "".join(answers))


def _bare_channels(text: str) -> Split | None:
    begins = _BARE_HARMONY.match(text)
    if begins is None:
        return None
    thought, final, answer = text[begins.end() :].rpartition(_BARE_FINAL)
    if final:
        return Split(thought, answer)
    return Split(answer, "") if answer[:1].isupper() else None


def _quoted(text: str) -> Split | None:
    if shown := _OLLAMA.match(text):
        return Split(shown["thought"], text[shown.end() :])
    found = _POE.match(text)
    if found is None:
        return None
    lines = found["thought"].splitlines()
    return Split("\n".join(line.removeprefix(">").removeprefix(" ") for line in lines), text[found.end() :])


def _blocks(text: str) -> Split | None:
    """Read the reasoning between tags at the beginning of a text."""
    thoughts: list[str] = []
    at = 0
    absent: set[str] = set()
    while block := _block(text, at, absent):
        thought, at = block
        thoughts.append(thought)
    return Split(joined(*thoughts), text[at:]) if at else None


def _block(text: str, start: int, absent: set[str]) -> tuple[str, int] | None:
    """Return the reasoning that begins at a position, and the position where the text after it begins."""
    blank = _BLANK.match(text, start)
    opening = OPENING.match(text, blank.end() if blank else start)
    if opening is None:
        return None
    begins = opening.end()
    if IS_SPOKEN_OF.match(text, begins):
        return None  # "<think> and </think> mark …"
    for closing in closings(opening):
        end = None if closing.pattern in absent else closed(text, begins, closing)
        if end is None:
            absent.add(closing.pattern)
        else:
            thought, ends = text[begins : end.start()], end.end()
            if MENTION.fullmatch(thought) and thought.strip():
                return None
            return _nested(text, thought, begins, ends, closing)
    if opening["granite"]:
        return None
    answer = _ANSWER.search(text, begins)  # no closing mark, but an opening one of the answer
    return (text[begins : answer.start()], answer.start()) if answer else (text[begins:], len(text))


_ANSWER = re.compile(r"<answer>|<\|begin_of_(?:solution|answer)\|>|<\|START_(?:RESPONSE|ANSWER)\|>", re.IGNORECASE)


def _nested(text: str, thought: str, begins: int, ends: int, closing: re.Pattern[str]) -> tuple[str, int]:
    """Return the reasoning up to the end of the outer of two nested blocks."""
    end = closing.search(text, ends) if OPENING.search(thought) else None
    if end is None or is_mentioned(text, end):
        return thought, ends
    return text[begins : end.start()], end.end()


def _closed_alone(text: str) -> Split | None:
    """Read reasoning that has only a closing mark in the text."""
    ends = list(_CLOSING_ALONE.finditer(text))
    if not ends or OPENING.search(text, 0, ends[0].start()):
        return None
    at, begins, fenced, scanned = 0, 0, False, 0
    thoughts: list[str] = []
    for found in ends:
        fenced ^= bool(text.count("```", scanned, found.start()) % 2)
        scanned = found.start()
        if not fenced and not is_mentioned(text, found) and not interleaved.is_asked_for(text, found.start()):
            thoughts.append(text[begins : found.start()])
            at = begins = found.end()
    return Split(joined(*thoughts), text[at:]) if at else None


def _unwrapped(answer: str) -> str:
    """Remove the tags that some families put around the answer after reasoning."""
    wrapped = _WRAPPED.match(answer)
    if wrapped is None:
        return answer
    named = wrapped["xml"]
    name = named or wrapped["of"] or wrapped["start"]
    closing = rf"</{name}\s*>" if named else rf"<\|end_(?:of_)?{name}\|>"
    closed = list(re.finditer(closing, answer, re.IGNORECASE))
    if closed and answer[closed[-1].end() :].strip() and not _OF_TURNS.fullmatch(answer[closed[-1].end() :]):
        return answer  # text follows, so the tags belong to the requested answer
    return answer[wrapped.end() : closed[-1].start() if closed else len(answer)].strip()


def _without_end(text: str) -> str:
    """Return a text without end-of-turn tokens."""
    if not text.rstrip().endswith((">", "\uff1e")):
        return text
    tail = text[-_LONGEST_TAIL:]
    found = _OF_TURNS.search(tail)
    if found is None or ("</s>" in found[0].lower() and "<s>" in text.lower()):
        return text
    if found[0][:1] == " ":
        return text  # only mentioned: as a token it has no space before it
    return text[: len(text) - len(tail) + found.start()]
