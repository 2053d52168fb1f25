"""`python3 -I -m penstock_agent stage-in|stage-out|nothing`: the commands of the containers around a step, and of
the one that stands for a step where there is none: an importer's pod has no more to do than stage-in.

The statuses it ends with stand in `exits.py`.
"""

import _thread
import os
import signal
import sys

_END = {signal.SIGTERM, signal.SIGINT}


def main() -> None:
    """Do what the command line says, and end."""
    command = sys.argv[1:]
    # Before anything else: to the first process of a container a signal that nobody asked for is lost. The image
    # blocks it before there is a Python.
    signal.pthread_sigmask(signal.SIG_BLOCK, _END)
    if command != ["stage-out"]:
        _thread.start_new_thread(_end_when_asked, ())

    # What takes longer comes after that.
    from penstock_agent.commands import run

    sys.exit(run(command, os.environ))


def _end_when_asked() -> None:
    """The pod is deleted: whatever is under way does not matter any more.

    A handler would do only once the store had answered, which Python waits for without running any.
    """
    os._exit(128 + signal.sigwait(_END))


if __name__ == "__main__":
    main()
