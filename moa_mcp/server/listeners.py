"""Sockets that listen for HTTP."""

from __future__ import annotations

import os
import socket

from moa_mcp.server.access import CannotServe


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 picks a free one. Raises `CannotServe`."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, reuse_port=False)
    except OSError as error:
        raise CannotServe(
            f"can't listen on {host} port {port}: {os.strerror(error.errno or 0)}; choose another port"
        ) from error
    # Connections inherit it. asyncio sets it only for sockets with an explicit protocol. Without it, every answer waits
    # 40 ms for an acknowledgement (Nagle's algorithm).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)  # noqa: FBT003  signature of socket
    return listener
