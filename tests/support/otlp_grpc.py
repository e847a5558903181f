"""A receiver of OTLP over gRPC in its own process. It passes what it gets to a receiver over HTTP, which decodes it.

It knows nothing of the package under test.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any
from urllib.request import Request, urlopen

from tests.support.otlp_receiver import Listener, OtlpReceiver

_SERVICE = "/opentelemetry.proto.collector.{0}.v1.{1}Service/Export"
_PATHS = {_SERVICE.format("trace", "Trace"): "/v1/traces", _SERVICE.format("metrics", "Metrics"): "/v1/metrics"}


class OtlpGrpcReceiver(Listener):
    """A receiver inside a `with` block."""

    def __init__(self, *, answers: bool = True) -> None:
        self.decoded = OtlpReceiver()
        super().__init__("-m", __name__, *([self.decoded.url] if answers else []))

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.decoded.__exit__()


def _passed_on(target: str | None, path: str, body: bytes) -> bytes:
    if target is None:
        threading.Event().wait()
    with urlopen(Request(f"{target}{path}", body, {"Content-Type": "application/x-protobuf"}), timeout=10) as answer:
        found: bytes = answer.read()
    return found


def _serve(target: str | None) -> None:
    grpc: Any = import_module("grpc")

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # the package has no types
        def service(self, details: Any) -> Any:
            path = _PATHS[details.method]
            return grpc.unary_unary_rpc_method_handler(lambda body, _: _passed_on(target, path, body))

    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    _serve(sys.argv[1] if len(sys.argv) > 1 else None)
