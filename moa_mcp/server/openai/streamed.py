"""The text of an answer that is streamed. What was sent can't be taken back, so nothing is sent that contradicts it."""

from __future__ import annotations

from moa_mcp.events import AttemptFailed, CallFailed, Event, RunResumed, TextReceived


class StreamedText:
    """Takes the text from the events of a run, and returns what may be sent.

    After a failed attempt, or if another process continues the run, the text begins again. It is sent on as far as it
    continues what was sent before.
    """

    def __init__(self) -> None:
        self._sent = ""
        self._received = ""
        """The text of the current attempt."""

    def hear(self, event: Event) -> None:
        """Take the text of an event."""
        if isinstance(event, TextReceived):
            self._received += event.text
        elif isinstance(event, AttemptFailed | CallFailed | RunResumed):
            self._received = ""

    def take(self) -> str:
        """Return the text to send now; empty if there is none."""
        received, sent = self._received, len(self._sent)
        if len(received) <= sent or not received.startswith(self._sent):
            return ""
        self._sent = received
        return received[sent:]

    def rest(self, answer: str) -> str | None:
        """Return what is left of the answer to send; None if it is not the text that was sent."""
        if answer.startswith(self._sent):
            return answer[len(self._sent) :]
        if not self._sent.strip():
            return answer
        return "" if answer.strip() == self._sent.strip() else None
