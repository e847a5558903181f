"""The meaning of finish reasons, in the words of all providers. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

Ending = Literal["end", "limit", "filter", "fault", "unknown"]

_WORDS: dict[Ending, str] = {
    "end": "stop eos eos_token end_turn stop_sequence end complete completed finished finish done normal success "
    "unspecified",
    "limit": "length max_tokens model_length max_output_tokens max_completion_tokens max_new_tokens max_length "
    "token_limit length_limit context_length context_length_exceeded model_context_window_exceeded "
    "context_window_exceeded length_cap truncated error_limit incomplete",
    "filter": "content_filter content_filtered safety recitation blocklist prohibited_content spii refusal sensitive "
    "moderation filtered blocked image_safety language guardrail_intervened guardrails error_toxic content_policy "
    "content_policy_violation model_armor jailbreak data_inspection_failed",
    "fault": "error insufficient_system_resource insufficient_system_resources network_error abort aborted cancelled "
    "canceled server_error internal_error internal_server_error failed failure timeout time_limit timed_out "
    "overloaded engine_overloaded preempted malformed_function_call malformed_response",
}
_KNOWN: dict[str, Ending] = {word: kind for kind, words in _WORDS.items() for word in words.split()}


@lru_cache(256)
def ending(reason: str | None) -> Ending:
    """Return the meaning of a finish reason; without one, the text is complete."""
    if not reason or not reason.strip():
        return "end"
    word = reason.casefold().partition(":")[0].strip().replace("-", "_").replace(" ", "_")
    return _KNOWN.get(word.removeprefix("finish_reason_"), "unknown")


def worse(reason: str | None, native: str | None) -> str | None:
    """Return the finish reason that counts: the gateway's, or the model's native one if that is more specific."""
    if native is None:
        return reason
    tame = ending(reason) in {"end", "unknown"}
    return native if tame and ending(native) in {"limit", "filter", "fault"} else reason
