"""`make demo`: a server of its own in a temporary folder, the example pipeline run to its end, nothing left behind.

With `--target HOST:PORT` it runs on a server that is there; other options are those of the server that it starts.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
EXAMPLE = ROOT / "examples" / "line_fit" / "pipeline.yaml"
STOP_TIMEOUT_S = 30


def main() -> int:
    """Run the example; the exit status is that of `penstock run --watch`."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--target", help="a server that is there")
    given, options = parser.parse_known_args()
    if given.target:
        return run(given.target)
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as folder, server(Path(folder), options) as target:
        return run(target)


def run(target: str) -> int:
    """Run the example on the server at `target`."""
    command = [str(BIN / "penstock"), "--target", target, "run", str(EXAMPLE), "-p", "slope=3", "--watch"]
    print("$ penstock run examples/line_fit/pipeline.yaml -p slope=3 --watch", flush=True)
    return subprocess.run(command, check=False).returncode


@contextmanager
def server(folder: Path, options: Sequence[str] = ()) -> Iterator[str]:
    """A server with its data in `folder`, on free ports of loopback; yields its gRPC address."""
    log = folder / "server.log"
    arguments = ["--data-dir", str(folder / "data"), "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
    arguments += options
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [BIN / "penstock-server", "serve", *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        if not ready:
            sys.exit(f"demo: the server did not start:\n{log.read_text()}")
        print(ready, end="", flush=True)
        yield ready.split("grpc ")[1].split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        process.wait(STOP_TIMEOUT_S)


if __name__ == "__main__":
    sys.exit(main())
