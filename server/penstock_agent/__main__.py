"""`python3 -I -m penstock_agent stage-in|stage-out|nothing`: the commands of the containers around a step, and of
the one that stands for a step where there is none: an importer's pod has no more to do than stage-in.

The statuses it ends with stand in `exits.py`.
"""

import os
import signal
import sys


def main() -> None:
    """Do what the command line says, and end."""
    command = sys.argv[1:]
    if command == ["stage-out"]:
        # Before anything else: to the first process of a container a signal that nobody asked for is lost. The image
        # blocks it before there is a Python.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    else:
        signal.signal(signal.SIGTERM, _end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    # What takes longer comes after that.
    from penstock_agent.commands import run

    sys.exit(run(command, os.environ))


def _end(number: int, _: object) -> None:
    """The pod is deleted: whatever is under way does not matter any more."""
    os._exit(128 + number)


if __name__ == "__main__":
    main()
