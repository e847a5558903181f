"""What each judge of a run said, read by the same rules as during the run."""

from __future__ import annotations

from moa_mcp.steps import prompts
from moa_mcp.trace.trace import CallTrace
from moa_mcp.verdicts import Asked, read_ranking, read_vote


def verdict(call: CallTrace) -> tuple[int, ...] | None:
    """Return the numbers that a judge named, as its prompt numbers the answers, best first.

    Empty if the reply is not valid. A ranking may have fewer answers than its step keeps, which the step rejects. None
    if the call has no answer yet, or if its prompt asks for no verdict, or for an analysis.
    """
    system = next((message.content for message in call.messages if message.role == "system"), "")
    form = prompts.asked_form(system)
    if form is None or form.field not in {"answer", "ranking"} or call.completion is None:
        return None
    asked = Asked.of(len(prompts.unfenced(system)), form.key, call.messages)
    if form.field == "ranking":
        return read_ranking(call.completion.text, asked, 1) or ()
    number = read_vote(call.completion.text, asked)
    return () if number is None else (number,)
