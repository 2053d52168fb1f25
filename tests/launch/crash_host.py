"""A server to be killed: launches the steps it is told of on standard input, and says when it has.

Run as `python -m tests.launch.crash_host ROOT [UV]`; each line of input is a pickled request in base64.
"""

import asyncio
import base64
import pickle
import sys
from pathlib import Path

from tests.launch.world import make_launcher


async def main(root: Path, uv: Path | None) -> None:
    """Launch what comes, until killed."""
    launcher = make_launcher(root, uv=uv)
    await launcher.start()
    while line := await asyncio.to_thread(sys.stdin.readline):
        await launcher.launch(pickle.loads(base64.b64decode(line)))
        print("launched", flush=True)
    await launcher.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
