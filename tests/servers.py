"""Real `penstock-server` processes for end-to-end tests, kill tests and benchmarks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

BIN = Path(sys.executable).parent
READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30


@dataclass
class Server:
    """One server process; it can be killed and started again on the same folder."""

    data_dir: Path
    options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[str] | None" = None
    grpc: str = ""
    http: str = ""
    log: "IO[bytes]" = field(default_factory=TemporaryFile)

    def start(self) -> "Server":
        """Start it and wait for its ready line; after a first start it takes the same ports again."""
        arguments = ["--data-dir", str(self.data_dir), "--grpc-listen", self.grpc or "127.0.0.1:0"]
        arguments += ["--http-listen", self.http or "127.0.0.1:0", *self.options]
        self.process = subprocess.Popen(
            [BIN / "penstock-server", "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=os.environ | self.environment,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert "grpc" in words, f"the server did not become ready:\n{self.read_log()}"
        self.grpc, self.http = words[words.index("grpc") + 1], words[words.index("http") + 1]
        return self

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to drain and wait; returns its exit status."""
        return self._end(signal.SIGTERM)

    def read_log(self) -> str:
        """What it has written to stderr so far."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            return process.wait(STOP_TIMEOUT_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def running(data_dir: Path, *options: str, **environment: str) -> Iterator[Server]:
    """A server on `data_dir` and free ports, stopped at the end."""
    server = Server(data_dir, options, environment).start()
    try:
        yield server
    finally:
        server.stop()
        server.log.close()
