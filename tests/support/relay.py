"""A relay in front of a server, which can break connections as networks do."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from typing import Self


class Relay:
    """Passes bytes between clients and a server, inside a `with` block."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut_at = b""
        """What the server says that no longer reaches the client, whose connection ends instead; once."""
        self.cuts = 0
        self._passing: set[socket.socket] = set()
        """Clients whose bytes pass."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def silence(self) -> None:
        """Let no bytes pass any more in the connections that there are. They stay, and new ones work."""
        self._passing = set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        self._passing.add(client)
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._to)) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source in ready:
                    said = source.recv(65536)
                    if not said:
                        return
                    if source is server and self.cut_at and self.cut_at in said:
                        self.cut_at = b""
                        self.cuts += 1
                        return
                    if client in self._passing:
                        (server if source is client else client).sendall(said)
