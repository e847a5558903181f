"""Simulated verdicts on answers of an evaluation: right if the reference is in the answer, else random."""

from __future__ import annotations

import json
import re
from random import Random

from moa_mcp.steps.prompts import VerdictForm

FIELDS = frozenset({"grade", "score", "better"})
_SCALE = re.compile(r"a number from (?P<low>-?\d+(?:\.\d+)?) to (?P<high>-?\d+(?:\.\d+)?)")
_BLOCK = re.compile(
    r"^----- (?P<name>reference|answer) \((?P<mark>[0-9a-f]+)\) -----\n(?P<text>.*?)\n"
    r"----- end of (?P=name) \((?P=mark)\) -----$",
    re.MULTILINE | re.DOTALL,
)


def verdict(form: VerdictForm, system: str, text: str, rng: Random) -> str:
    """Return the verdict that a system prompt asks for, on the answers in the text of the user's message."""
    shown = {found["name"]: found["text"] for found in _BLOCK.finditer(text)}
    reference = shown.get("reference")
    if reference is None:
        right, reason = rng.random(), "No model was called; this verdict is random."
    else:
        right = float(reference.casefold() in shown.get("answer", "").casefold())
        reason = f"No model was called. The answer {'has' if right else 'lacks'} the text of the reference."
    verdict = _verdict(form.field, system, right)
    return json.dumps({"key": form.key, "reason": reason, form.field: verdict, "simulated": True})


def _verdict(field: str, system: str, right: float) -> str | float:
    """Return how right an answer is, from 0 to 1, as a prompt asks for it."""
    if field == "better":
        return int(right * 3)
    if field == "grade":
        return ("incorrect", "partly", "correct")[min(2, int(right * 3))]
    scale = _SCALE.search(system)
    low, high = (float(scale["low"]), float(scale["high"])) if scale else (0.0, 1.0)
    return round(low + right * (high - low), 2)
