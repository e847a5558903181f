"""What a model thinks aloud is kept apart from what it answers, in the grammar of every family."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from moa_mcp.providers.replies.reasoning import split
from moa_mcp.providers.replies.reasoning_marks import FAMILIES, TAGS
from moa_mcp.providers.replies.reasoning_stream import Arriving

ANSWER = "Paris"
THOUGHTS = {
    "deepseek, qwen, glm": "<think>I lean to Rome.</think>Paris",
    "on lines of their own": "<think>\nI lean to Rome.\n</think>\n\nParis",
    "without a thought": "<think>\n\n</think>\n\nParis",
    "after blanks": "\ufeff \n<think>I lean to Rome.</think>\nParis",
    "in capitals": "<THINK>I lean to Rome.</THINK>Paris",
    "another name": "<thinking>I lean to Rome.</thinking>\nParis",
    "exaone": "<thought>I lean to Rome.</thought>Paris",
    "reka": "<reasoning>I lean to Rome.</reasoning>Paris",
    "seed-oss": "<seed:think>Rome?<seed:cot_budget_reflect>Used.</seed:cot_budget_reflect></seed:think>Paris",
    "magistral": "[THINK]I lean to Rome.[/THINK]Paris",
    "kimi-vl": "◁think▷I lean to Rome.◁/think▷Paris",
    "openthinker": "<|begin_of_thought|>Rome?<|end_of_thought|>\n\n<|begin_of_solution|>Paris<|end_of_solution|>",
    "command a": "<|START_THINKING|>Rome?<|END_THINKING|><|START_RESPONSE|>Paris<|END_RESPONSE|>",
    "medgemma": "<unused94>thought\nI lean to Rome.<unused95>Paris",
    "gemma 4": "<|channel>thought\nI lean to Rome.<channel|>Paris",
    "apertus": "<|inner_prefix|>I lean to Rome.<|inner_suffix|>Paris",
    "granite": "Here is my thought process:\nI lean to Rome.\nHere is my response:\nParis",
    "hunyuan": "<think>I lean to Rome.</think>\n<answer>Paris</answer>",
    "ernie": "<think>I lean to Rome.</think>\n\n<response>\nParis\n</response>\n",
    "marco-o1": "<Thought>I lean to Rome.</Thought>\n<Output>Paris</Output>",
    "harmony": "<|channel|>analysis<|message|>Rome?<|end|><|start|>assistant<|channel|>final<|message|>Paris<|return|>",
    "harmony with commentary": "<|channel|>analysis<|message|>Rome?<|end|><|start|>assistant<|channel|>commentary"
    "<|message|>I look it up.<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>Paris",
    "harmony without its tokens": "analysisWe need a capital. Rome?assistantfinalParis",
    "open webui": '<details type="reasoning" done="true">\n<summary>Thought</summary>\nRome?\n</details>\nParis',
    "poe": "*Thinking...*\n\n> I lean to Rome.\n> Or not.\n\nParis",
    "after the head of a turn": "<|im_start|>assistant\n<think>I lean to Rome.</think>\nParis",
    "a closing tag in code within": "<think>\nRome? I mention `</think>` tags.\n</think>\nParis",
    "ollama's own display": "Thinking...\nRome?\n...done thinking.\n\nParis",
    "harmony without its tokens, from the turn on": "assistantanalysisthe user asks. Rome?assistantfinalParis",
    "no end but an answer": "<think>Rome?\n<answer>Paris</answer>",
    "two in a row": "<think>Rome?</think>\n<think>No.</think>\nParis",
    "another closing tag": "<think>I lean to Rome.</thinking>Paris",
    "a tag with bars": "<|think|>I lean to Rome.<|/think|>Paris",
    "the end of a turn": "<think>Rome?</think>Paris<|im_end|>",
}
CLOSED_ALONE = {
    "a closing tag alone": "I lean to Rome.</think>Paris",
    "a closing tag on its line": "I lean to Rome.\n</think>\n\nParis",
    "a closing bracket alone": "I lean to Rome.[/THINK]Paris",
    "one thought in another": "<think>Rome, as <think>they</think> say.</think>Paris",
    "harmony from its second message": "Rome?<|end|><|start|>assistant<|channel|>final<|message|>Paris",
}
INTERLEAVED = {
    "glued to a sentence": ("Let me see.<think>Rome?</think>The answer is 4", "Let me see. The answer is 4"),
    "between two sentences": ("Let me see. <think>Rome?</think> The answer is 4", "Let me see. The answer is 4"),
    "glued to a word": ("Sure<think>Rome or not?</think>\nParis", "Sure\nParis"),
    "on lines of its own": ("I look it up.\n\n<think>\nRome?\n</think>\n\nParis", "I look it up.\n\nParis"),
    "several": ("A.\n<think>Rome?</think>\nB.\n<think>Rome, no</think>\nC", "A.\nB.\nC"),
    "after a first thought": ("<think>Rome?</think>I look.\n<think>Rome, no.</think>\nParis", "I look.\nParis"),
    "two in a row": ("I look.\n<think>Rome?</think><think>Oh, no.</think>\nParis", "I look.\nParis"),
    "at the end": ("Paris.\n\n<think>Was it Rome?</think>\n", "Paris."),
    "without an end": ("Paris.\n<think>\nWait, Rome", "Paris."),
    "with a tag in it": ("A.\n<think>\nRome, as <think> they say.\n</think>\nB", "A.\nB"),
    "with code in it": ("A.\n<think>\n```\nRome\n```\n</think>\nB", "A.\nB"),
    "announced by the model": (
        "I'll think about it:\n<think>Was it Rome?</think>\nParis",
        "I'll think about it:\nParis",
    ),
    "in Chinese": ("好的。<think>Rome。</think>巴黎", "好的。巴黎"),
    "magistral": ("I look.\n[THINK]Rome?[/THINK]\nParis", "I look.\nParis"),
    "kimi-vl": ("I look.\n◁think▷Rome?◁/think▷\nParis", "I look.\nParis"),
    "seed-oss": ("I look.<seed:think>Rome?</seed:think>Paris", "I look. Paris"),
    "gemma 4": ("I look.\n<|channel>thought\nRome?<channel|>Paris", "I look.\nParis"),
}
"""Thoughts between the parts of an answer, and the answer."""
UNFINISHED = (
    "<think>I lean to Rome",
    "[THINK]I lean to Rome",
    "<|channel|>analysis<|message|>I lean to Rome",
    "<think>I lean to Rome</think>",
    "analysisWe need a capital",
)
WHOLE = (
    "Paris",
    "Models write `<think>` first and `</think>` last.",
    "The `</think>` tag ends a thought.",
    'The tag "</think>" ends a thought.',
    "End a thought with </think> and then answer.",
    "<think> and </think> mark a thought.",
    "```xml\n<think>Rome?</think>\n```\nThat is the form.",
    "```\nRome?\n</think>\nParis\n```",
    "The closing tag is </think>.",
    "It ends with </think>",
    "</think> closes a thought.",
    "End a thought with `a </think> b` and go on.",
    "It thinks. <think>Rome</think> is one of its thoughts.",
    "<think> is a tag that R1 opens its thoughts with.",
    "<think> tags wrap thoughts, and </think> ends them. That is all.",
    "<reasoning> is an XML element.\n\n```xml\n<reasoning>steps</reasoning>\n```",
    "Tokens: <|end_of_thought|> ends, text after.",
    "Harmony uses <|channel|>analysis<|message|> to think and <|channel|>final<|message|> to answer.",
    "The token at the end of Llama's text is </s>",
    "First <think>Rome?</think> then Paris.",
    "analysis of Paris",
    "Here is my thought process: first Rome, then Paris.",
    "[Reasoning] Paris is larger.",
    "<s>Rome</s>",
    "if a < b:\n    print('<b>')",
    "<answer>Paris</answer>",
    "  Paris\n",
    "R1's output:\n\n<think>\nhm\n</think>\n\n4",
    "Here is an example.\n\n<think>\nhm\n</think>\n\n4",
    "The `<think>` tag wraps thoughts. A model writes\n<think>\nhm\n</think>\n4",
    "So:\n~~~\nWait.\n<think>x</think>\n~~~",
    "Indented.\n\n    <think>x</think>\n\nmore",
    "Use tags. <think> opens a thought and </think> closes it.",
    "中文模型使用<think>和</think>标签",
    "模型会输出<think>思考</think>答案。",
    "Write this.\n<think>your reasoning here</think>\n<answer>your answer</answer>",
    "<root>\n<think>x</think>\n</root>",
    "It has parts.\n- <think>x</think>\n- y",
    "Write:\n</think>\nand then your answer",
    "Then end it with:\n</think>\n\nAfter that comes the answer.",
    "Call strip.<think>a</think>.",
    "You can do this. <think>...</think> is how it goes.",
    "1. Plan.\n<reasoning>\nBecause.\n</reasoning>\n2. Done.",
)


@pytest.mark.parametrize("text", [*THOUGHTS.values(), *CLOSED_ALONE.values()], ids=[*THOUGHTS, *CLOSED_ALONE])
def test_a_thought_is_told_from_the_answer_in_every_grammar(text: str) -> None:
    reasoning, answer = split(text)
    assert answer == ANSWER
    assert ("Rome" in reasoning) == ("Rome" in text)


@pytest.mark.parametrize(("text", "answer"), INTERLEAVED.values(), ids=INTERLEAVED)
def test_a_thought_between_the_parts_of_an_answer_is_taken_out(text: str, answer: str) -> None:
    thought, left = split(text)
    assert left == answer
    assert "Rome" in thought


@pytest.mark.parametrize("last", ["Final answer:", "I'll write:", "Let me write the answer:", "So it is Paris."])
def test_the_last_line_of_a_thought_may_announce_the_answer(last: str) -> None:
    assert split(f"Is it Rome?\n{last}\n</think>\n\nParis") == (f"Is it Rome?\n{last}", "Paris")


@pytest.mark.parametrize("text", UNFINISHED)
def test_a_thought_without_an_answer_leaves_nothing_of_it(text: str) -> None:
    assert split(text).text == ""


def test_tags_with_nothing_but_dots_between_them_are_spoken_of() -> None:
    text = "<think>...</think> is how R1 writes its thoughts."
    assert split(text) == ("", text)


def test_tags_of_an_answer_that_text_follows_belong_to_it() -> None:
    answer = "<answer>Rome</answer> is what others say."
    assert split(f"<think>I lean to Rome.</think>{answer}") == ("I lean to Rome.", answer)


@pytest.mark.parametrize("text", WHOLE)
def test_an_answer_that_speaks_of_such_tags_stays_whole(text: str) -> None:
    assert split(text) == ("", text)


@pytest.mark.parametrize("text", ["Paris<|im_end|>", "Paris</s>", "Paris\n<|eot_id|>\n", "Paris<end_of_turn>"])
def test_what_ends_a_turn_is_no_part_of_the_answer(text: str) -> None:
    assert split(text) == ("", "Paris")


UNCLEAR = (WHOLE[5], *(text for text in WHOLE if text.startswith(("<think> is", "<think> tags", "<reasoning> is"))))
"""What nobody can know before its end."""


def pieces(text: str, rng: Random) -> Iterator[str]:
    at = 0
    while at < len(text):
        size = rng.choice([1, 2, 3, 7, 40])
        yield text[at : at + size]
        at += size


@pytest.mark.parametrize("text", [*THOUGHTS.values(), *WHOLE, *UNFINISHED, *(text for text, _ in INTERLEAVED.values())])
def test_of_a_text_that_arrives_the_answer_alone_is_told(text: str) -> None:
    answer = split(text).text
    for seed in range(8):
        arriving = Arriving()
        told = "".join(arriving.take(piece) for piece in pieces(text, Random(seed)))
        if text not in UNCLEAR:
            assert told + arriving.end(answer) == answer


def test_an_answer_after_a_thought_is_told_while_it_arrives() -> None:
    arriving = Arriving()
    assert [arriving.take(piece) for piece in ("<think>Rome?", "</think>", "\n\nPar", "is", " it is")] == [
        "",
        "",
        "Par",
        "is",
        " it is",
    ]


@pytest.mark.parametrize("family", ["", *FAMILIES])
@pytest.mark.parametrize("tag", TAGS)
def test_no_tag_is_told_in_pieces_and_what_follows_it_is_told_while_it_arrives(family: str, tag: str) -> None:
    arriving = Arriving()
    thought = f"<{family}{tag}>Rome?</{family}{tag}>"
    told = [arriving.take(character) for character in f"{thought}\n\nParis it is"]
    assert "".join(told) == "Paris it is"
    assert told[-1] == "s"


HOSTILE = (
    "<think></think>",
    "</think>",
    "<think>",
    "<think><think>",
    "`</think>",
    "a </think> b",
    "<|channel|>",
    "<|channel|>analysis<|message|>",
    "[THINK]",
    "<answer>",
    "<|end|>",
    ">\n",
    "\n",
    "<",
    "a.<think>b</think>",
    "a.\n<think>",
    "\n<thought>x</thinking>\n",
)


@pytest.mark.parametrize("head", ["", "<think>", "<|channel|>final<|message|>", "*Thinking...*\n", "<think>a</think>"])
def test_no_text_of_a_megabyte_takes_long(head: str) -> None:
    for part in HOSTILE:
        split(head + part * (2**20 // len(part)))
