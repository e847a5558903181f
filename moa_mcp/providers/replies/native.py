"""Converts complete replies in the native formats of Anthropic, Google and Ollama to chat completions. Pure.

Some gateways fail to translate a reply, and a configured address may belong to the native API.
"""

from __future__ import annotations

from moa_mcp.providers.replies.json_values import Json, as_list, as_object


def chat(body: Json) -> Json | None:
    """Return the reply as a chat completion; None if its format is unknown."""
    return _anthropic(body) or _google(body) or _ollama(body)


def _anthropic(body: Json) -> Json | None:
    if body.get("type") != "message" or not isinstance(body.get("content"), list) or not body.get("stop_reason"):
        return None
    message = {"content": body["content"]}
    return {
        "choices": [{"message": message, "finish_reason": body["stop_reason"]}],
        "usage": body.get("usage"),
    }


def _google(body: Json) -> Json | None:
    """Read Gemini's format, which is the same for chunks and complete replies. Parts of reasoning are flagged."""
    candidates = [as_object(each) for each in as_list(body.get("candidates"))]
    if not candidates:
        return None
    counts = as_object(body.get("usageMetadata"))
    usage = {
        "prompt_tokens": counts.get("promptTokenCount"),
        "completion_tokens": counts.get("candidatesTokenCount", 0),
        "total_tokens": counts.get("totalTokenCount"),
        "prompt_tokens_details": {"cached_tokens": counts.get("cachedContentTokenCount")},
    }
    return {"choices": [_candidate(each) for each in candidates], "usage": usage if counts else None}


def _candidate(candidate: Json) -> Json:
    parts = [as_object(part) for part in as_list(as_object(candidate.get("content")).get("parts"))]
    texts = [(part.get("thought") is True, part["text"]) for part in parts if isinstance(part.get("text"), str)]
    message = {
        "content": "".join(text for is_thought, text in texts if not is_thought),
        "reasoning": "".join(text for is_thought, text in texts if is_thought),
    }
    return {
        "index": candidate.get("index", 0),
        "delta": message,
        "finish_reason": candidate.get("finishReason"),
    }


def _ollama(body: Json) -> Json | None:
    """Read a complete reply. The last line of a stream, which has no text, is not one."""
    message = as_object(body.get("message")) or {"content": body.get("response"), "thinking": body.get("thinking")}
    content = message.get("content")
    if body.get("done") is not True or not (isinstance(content, str) and content):
        return None
    usage = {"prompt_tokens": body.get("prompt_eval_count"), "completion_tokens": body.get("eval_count")}
    return {"choices": [{"message": message, "finish_reason": body.get("done_reason")}], "usage": usage}
