"""The program that a host starts in place of `python -m moa_mcp`: the nursery forks the process that it stands for.

It hands over its streams, environment and folder, passes signals on, and ends as that process ends. It knows nothing
but the standard library, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path


def _stand_in(door: str, *arguments: str) -> int:
    here, there = socket.socketpair()
    with there, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nursery:
        nursery.connect(door)
        socket.send_fds(nursery, [b"x"], [0, 1, 2, there.fileno()])
    os.closerange(0, 3)  # whoever reads or writes them learns of that process's end
    prelude = f"import os; os.chdir({str(Path.cwd())!r})"
    order = {"arguments": arguments, "environ": dict(os.environ), "prelude": prelude}
    here.sendall(f"{json.dumps(order)}\n".encode())
    told = here.makefile()
    child = int(told.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda sent, _: os.kill(child, sent))
    return int(told.readline())


if __name__ == "__main__":
    os._exit(_stand_in(*sys.argv[1:]) % 256)
