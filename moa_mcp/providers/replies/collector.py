"""Collects the parts of a reply into a completion, for both transports, and emits its text as it arrives."""

from __future__ import annotations

from moa_mcp.errors import CallError
from moa_mcp.providers.replies import billing, completions
from moa_mcp.providers.replies.json_values import Json, as_object
from moa_mcp.providers.replies.limits import ReplyLimits
from moa_mcp.providers.replies.payloads import Reply
from moa_mcp.values import Call, Completion, Target


class Collecting:
    """Collects the parts of one call's reply, in the form of OpenAI's API."""

    def __init__(self, call: Call, target: Target) -> None:
        self.reply = Reply(watched=call.on_text is not None)
        self.limits = ReplyLimits.of(call)
        self.cut = ""
        """The note on a reply that was cut since it is too long; empty if it was not."""
        self._call = call
        self._target = target

    def take(self, part: Json) -> None:
        """Add a part, and emit what it adds to the first answer."""
        text = self.reply.take(part)
        if text is not None and self._call.on_text is not None:
            self._call.on_text(text)
        self.cut = self.limits.exceeded(self.reply.longest, self.reply.thought)
        if self.cut:
            self.reply.cut()

    def completion(self) -> Completion:
        """Return the completion of the whole reply. Raises `CallError`."""
        call, reply = self._call, self.reply
        if not reply.answers:
            raise self.billed(completions.unanswered(self._target))
        reported = self._usage()
        bill = billing.usage(reported), billing.cost_usd(self._target, reported)
        completion = completions.completed(self._target, reply.choices(), *bill, most=call.samples)
        if call.on_text is not None and (rest := reply.rest(completion.text)):
            call.on_text(rest)
        return completion.noted(self.cut) if self.cut else completion

    def billed(self, error: CallError) -> CallError:
        """Return the error with the cost that the provider billed for it."""
        reported = self._usage()
        if usage := billing.credible(billing.usage(reported), answered=False):
            error.paid, error.usage = True, usage
            error.cost_usd = completions.cost_of(self._target, usage, billing.cost_usd(self._target, reported))
        return error

    def _usage(self) -> Json:
        return as_object(self.reply.billed.get("usage"))
