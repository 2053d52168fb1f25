"""The shim: the small shell between the server and a step that outlives the server and records how the step
ended.

It is the leader of a session and a process group of its own and shares them with the step. It gets the
journal, with the lock on it, as standard input; the step gets neither. When the program has ended, whatever
it has left running in the group is killed, and the shim with it.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence

from penstock_server.launch.journal import Journal

SHELL = "/bin/sh"
_ENV = "/usr/bin/env"
SCRIPT = """exec 9<&0 </dev/null
trap : HUP INT QUIT USR1 USR2 TERM
echo "pid $$" >&9 || exit 1
"$@" 9>&-
echo "exit $?" >&9
kill -9 0
"""
# Signals to the group must not end the shim before it has written the status. They are caught, not ignored:
# what is ignored would be ignored by the step as well.


def start(journal: Journal, argv: Sequence[str], env: Mapping[str, str], work: str, log: str) -> int:
    """Start `argv`, whose first element is a path, under a shim; returns the shim's process id.

    The caller waits for the process. Raises OSError, ValueError when the system cannot start such a command.
    """
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [SHELL, "-c", SCRIPT, "penstock", *_with_odd_names(argv, env)],
            stdin=journal.fd,
            stdout=output,
            stderr=output,
            cwd=work,
            env=env,
            start_new_session=True,
        )
    finally:
        os.close(output)
    # The launcher waits through a descriptor of the process, as it does for those it adopts. A status that is
    # set keeps Popen from waiting too, and from complaining when the server leaves and the step goes on.
    process.returncode = 0
    return process.pid


def _with_odd_names(argv: Sequence[str], env: Mapping[str, str]) -> Sequence[str]:
    """`argv`, taught the variables whose names a shell does not hand on, such as `my.name`."""
    odd = [f"{name}={value}" for name, value in env.items() if not (name.isascii() and name.isidentifier())]
    return [_ENV, "--", *odd, *argv] if odd else argv
