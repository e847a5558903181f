"""Maps litellm's exceptions to `CallError`, by the provider's reply: litellm's classes differ between providers."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from moa_mcp.errors import CallError
from moa_mcp.providers.failures import bodies, unreadable
from moa_mcp.providers.failures.bodies import Fault
from moa_mcp.providers.failures.refusals import Destination, barred, refused, unreached, unusable_proxy
from moa_mcp.providers.replies.completions import garbled
from moa_mcp.providers.replies.json_values import as_object
from moa_mcp.routing import addresses, proxies
from moa_mcp.routing.hosts import host
from moa_mcp.values import Target


@contextmanager
def errors_mapped(target: Target, replies: Sequence[str] = ()) -> Generator[None]:
    """Turn litellm's exceptions into `CallError` by status and cause, since its classes differ between providers."""
    try:
        yield
    except CallError:
        raise
    except Exception as error:  # litellm passes on exceptions of many libraries
        raise _error(target, error, replies) from error


def _error(target: Target, error: Exception, replies: Sequence[str] = ()) -> CallError:
    kinds = _kinds(error)
    response = _response(error)
    destination = destination_of(target, response)
    if not proxies.is_usable(destination.proxy):
        return unusable_proxy(target, destination)
    if (proxy_status := _of_proxy(error)) is not None:
        return barred(target, proxy_status, "", destination)
    if response is None and kinds & _DISCONNECTIONS:
        return unreached(target, connected=not kinds & _UNCONNECTED, destination=destination)
    for raw in replies:  # with status 200 and an error in the body
        if (fault := bodies.broken(parsed(raw))) is not None:
            return refused(target, None, fault, destination=destination)
    if response is None and "JSONDecodeError" in kinds:
        return unreadable.text(target, _not_json(error), destination) or garbled(target)
    return refused(
        target, _status(error, response), _fault(error, response), _headers(error, response), destination=destination
    )


def parsed(raw: str) -> dict[str, Any]:
    """Return a reply's JSON object; an empty one if the reply is not a JSON object."""
    try:
        body: object = json.loads(raw)
    except ValueError:
        return {}
    return as_object(body)


def _status(error: Exception, response: Any) -> int | None:  # noqa: ANN401  httpx
    status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _fault(error: Exception, response: Any) -> Fault:  # noqa: ANN401  httpx
    """Return the provider's error: from the reply's body, otherwise from litellm's exception."""
    body = bodies.fault_in(response.text) if response is not None else Fault("")
    fault = body if body.message else bodies.fault_in(_message_of(error))
    filtered = (_FILTERED,) if type(error).__name__ == "ContentPolicyViolationError" else ()
    return fault._replace(codes=(*fault.codes, *filtered))


def _not_json(error: BaseException) -> str:
    """Return a text that is not JSON; empty if it is a fragment of JSON."""
    texts = (getattr(cause, "doc", None) for cause in _causes(error))
    text = next((text for text in texts if isinstance(text, str)), "").strip()
    return "" if text.startswith(("{", "[")) else text


_FILTERED = "content_policy_violation"
_ERROR_STATUS = 400


def _response(error: BaseException) -> Any:  # noqa: ANN401  httpx
    """Return the original HTTP reply behind an error; litellm's own exceptions hold an empty one."""
    for cause in _causes(error):
        response: Any = getattr(cause, "response", None)
        if getattr(response, "_content", b"") and getattr(response, "status_code", 0) >= _ERROR_STATUS:
            return response
    return None


def destination_of(target: Target, response: Any) -> Destination:  # noqa: ANN401  httpx
    """Return the destination of a call, as far as litellm exposes it."""
    if getattr(response, "_request", None) is None and host(target.provider) is not None:
        return Destination.of(target)
    url = addresses.shown(str(response.url)) if response is not None else target.api_base
    return Destination(url, proxies.proxy_for(url) if url else None)


def _of_proxy(error: BaseException) -> int | None:
    """Return the status with which a proxy refused the connection; None if none did."""
    refused = (cause for cause in _causes(error) if type(cause).__name__ == "ClientHttpProxyError")
    return next((int(getattr(cause, "status", 0)) for cause in refused), None)


_UNCONNECTED = {"ClientConnectorError", "ConnectionRefusedError", "gaierror"}
_DISCONNECTIONS = {
    "ConnectError",
    "ClientConnectionError",
    "ConnectionError",
    "RemoteProtocolError",
    "ReadError",
    "StopAsyncIteration",  # a stream that ended without a finish reason
}


def _causes(error: BaseException) -> Generator[BaseException]:
    """Yield an error and its causes: litellm reports an interrupted connection as a server error of status 500."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for cause in _causes(error) for kind in type(cause).__mro__}


def _headers(error: Exception, response: Any) -> Mapping[str, str]:  # noqa: ANN401  httpx
    for holder in (response, error):
        headers: Any = getattr(holder, "headers", None) or getattr(holder, "litellm_response_headers", None)
        if headers:
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


_PREFIXES = re.compile(r"\b(litellm\.\w+|\w*(Error|Exception|Exception - )):\s*|\b\w+Exception(\s+\w+Error)? - ")


def _message_of(error: Exception) -> str:
    """Return the provider's message without litellm's prefixes and tracebacks."""
    text = str(getattr(error, "message", "") or error).partition("Traceback (most recent call last)")[0]
    return _PREFIXES.sub("", text).strip()
