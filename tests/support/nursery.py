"""The command line as processes that start at once: forked from one that has loaded what takes seconds to load.

They are processes in every other respect: their own id, pipes, environment, signals and end.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn, Self

import anyio
from coverage import Coverage

import moa_mcp
from moa_mcp.__main__ import main
from moa_mcp.errors import CallError
from moa_mcp.providers.transports import Real
from moa_mcp.text.visible import visible
from moa_mcp.values import Call, Message, Place, Target
from tests.support import stand_in
from tests.support.tracing import complete_tracing

_LATE_S = 20.0
_LOADED_S = 120.0
_LEAVE = os._exit
_PACKAGE = str(Path(moa_mcp.__file__).parent / "*")


class Forked:
    """What `subprocess.Popen` is for a process that was spawned."""

    def __init__(self, channel: socket.socket, stdin: IO[str], stdout: IO[str], stderr: IO[str]) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self._channel = channel
        self._told = channel.makefile("r")
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait(10)
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()

    def communicate(self, said: str = "", late_s: float = _LATE_S) -> tuple[str, str]:
        """Say something, then read all that it writes until it ends; of stderr it must be little.

        It is killed if that takes longer than anything should.
        """
        late = threading.Timer(late_s, self.kill)
        late.start()
        with suppress(BrokenPipeError):
            self.stdin.write(said)
            self.stdin.close()
        whole = self.stdout.read(), self.stderr.read()
        late.cancel()
        return whole

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._channel.settimeout(timeout)
            self.returncode = int(self._told.readline())
            self._told.close()
            self._channel.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Starts processes, inside a `with` block."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        measured = environment.pop("COVERAGE_PROCESS_START", "")  # each process that is forked starts its own
        self._folder = tempfile.TemporaryDirectory()
        self._door = str(Path(self._folder.name) / "door")
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.bind(self._door)
            fds = theirs.fileno(), door.fileno()
            command = [sys.executable, "-m", "tests.support.nursery", *map(str, fds), measured]
            self._process = subprocess.Popen(command, env=environment, pass_fds=fds)

    def __enter__(self) -> Self:
        self._socket.settimeout(_LOADED_S)
        assert self._socket.recv(1), "it ended while it loaded"
        self._socket.settimeout(None)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait(10)
        self._folder.cleanup()

    def command(self, *arguments: str) -> list[str]:
        """Return a command that starts `moa-mcp` with these arguments, for hosts that start programs themselves."""
        return [sys.executable, "-IS", stand_in.__file__, self._door, *arguments]

    def start(self, *arguments: str, environ: dict[str, str], prelude: str = "", terminal: int | None = None) -> Forked:
        """Start `moa-mcp` with these arguments, in this environment alone, once it has run the prelude.

        Its streams are pipes, or all three the terminal.
        """
        pipes = [os.pipe() for _ in range(3)]
        (stdin, ours_in), (ours_out, stdout), (ours_err, stderr) = pipes
        here, there = socket.socketpair()
        theirs = [stdin, stdout, stderr] if terminal is None else [terminal] * 3
        with there:
            socket.send_fds(self._socket, [b"x"], [*theirs, there.fileno()])
        for fd in (stdin, stdout, stderr):
            os.close(fd)
        order = {"arguments": arguments, "environ": environ, "prelude": prelude}
        here.sendall(f"{json.dumps(order)}\n".encode())
        streams = os.fdopen(ours_in, "w", buffering=1), os.fdopen(ours_out), os.fdopen(ours_err)
        if terminal is not None:  # nothing goes through them
            for stream in streams:
                stream.close()
        return Forked(here, *streams)

    def run(
        self, *arguments: str, environ: dict[str, str], prelude: str = "", said: str = "", late_s: float = _LATE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run `moa-mcp` to its end, with something said to it on stdin."""
        with self.start(*arguments, environ=environ, prelude=prelude) as process:
            stdout, stderr = process.communicate(said, late_s)
            return subprocess.CompletedProcess(arguments, process.wait(10), stdout, stderr)


def _load() -> None:
    """Import all, and ask a model where nobody answers: a first call imports more."""
    for name in ("cli.ask", "cli.draw", "cli.runs", "cli.serve", "journal.sqlite.journal", "server.transports"):
        import_module(f"moa_mcp.{name}")

    async def call() -> None:
        models = Real()
        await models.ready(("openai", "litellm"))
        for wire_model in ("x", None):
            target = Target("openai/x", "openai", "http://127.0.0.1:9", "none", wire_model=wire_model)
            with suppress(CallError):
                await models(Call("r", Place(1, 1), "x", (Message("user", "?"),), {}, 1, target=target))
        await models.close()

    anyio.run(call)


def _measurement(configuration: str) -> Coverage:
    """Return a measurement that has started once, so that it starts at once in each child.

    It has the files by their names, not by their package: else each process searches for those that it did not run.
    """
    measured = Coverage(config_file=configuration, data_suffix=True, source=[], include=[_PACKAGE])
    measured.start()
    visible("")
    measured.stop()
    return measured


def _child(entry: socket.socket, door: socket.socket) -> dict[str, Any] | None:
    """Fork whenever asked to, and return in each child what it is to do; in the parent None, when the entry is closed.

    A stand-in asks at the door.
    """
    signal.signal(signal.SIGCHLD, _reap)
    entry.sendall(b"x")  # it has loaded: nobody who asks has to wait for that
    while fds := _asked(entry, door):
        if os.fork() == 0:
            entry.close()
            door.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _watched(fds)
        for fd in fds:
            os.close(fd)
    return None


def _asked(entry: socket.socket, door: socket.socket) -> list[int]:
    ready: list[socket.socket] = select.select([entry, door], [], [])[0]
    return socket.recv_fds(ready[0], 1, 4)[1]


def _reap(*_: object) -> None:
    """Wait for those that ended, so that the processor time of all counts as that of the tests."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _watched(fds: list[int]) -> dict[str, Any]:
    """Fork once more: one process does what it is asked to, the other waits for its end and tells of it."""
    *standard, told = fds
    with socket.socket(fileno=told) as channel:
        with channel.makefile() as lines:
            order: dict[str, Any] = json.loads(lines.readline())
        child = os.fork()
        if child:
            for fd in standard:
                os.close(fd)
            channel.sendall(f"{child}\n".encode())
            _, status = os.waitpid(child, 0)
            with suppress(OSError):
                channel.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
        os.close(fd)
    return order


def _measure(measured: Coverage) -> None:
    """Measure coverage from now on, and save it however the process ends, but for SIGKILL."""
    raise_signal = signal.raise_signal
    measured.start()
    complete_tracing()
    measured.get_data().add_arcs({})  # chooses a file for this process
    path = Path(measured.get_data().data_filename())
    path.touch()
    path.chmod(0o666)  # a prelude may make another user of it

    def save() -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # it has ended; no handler may run
        measured.stop()
        try:
            measured.save()
        except Exception:  # noqa: BLE001  there is no room, as some preludes have it
            with suppress(OSError):
                path.unlink()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def saved(status: int) -> NoReturn:
        save()
        _LEAVE(status)

    def raised(number: int) -> None:
        if signal.getsignal(number) is signal.SIG_DFL:  # uvicorn ends so
            save()
        raise_signal(number)

    os._exit, signal.raise_signal = saved, raised


def _become(order: dict[str, Any], measured: Coverage | None) -> None:
    if measured:
        _measure(measured)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    os.environ.clear()
    os.environ.update(order["environ"])
    sys.argv = ["moa-mcp", *order["arguments"]]
    exec(order["prelude"], {})


def _main() -> None:
    """Run the command and end as it does, but for tearing down all that was loaded, which takes long."""
    try:
        main()
    except SystemExit as ended:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter does
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 0)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked, socket.socket(fileno=int(sys.argv[2])) as door:
        _load()
        measured = _measurement(sys.argv[3]) if sys.argv[3] else None
        order = _child(asked, door)
    if order is not None:
        _become(order, measured)
        _main()
