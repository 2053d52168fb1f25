"""How an interpreter of a step environment becomes a warm Python: by a line that Python runs as it starts.

The line is a `.pth` file of the environment, the first of them, and does nothing unless the last argument names the
file to run. So the forks of a warm Python have the rest of an interpreter's start before them, and need not imitate it.
"""

from pathlib import Path

from penstock_server.launch.warm_python import EXECUTOR, NAME

HOOK_NAME = "0_penstock_warm_python.pth"
_MARK = "penstock-warm-python:"
HOOK = (
    "import sys; ["
    f"exec(compile(open(text[{len(_MARK)}:], encoding='utf-8').read(), text, 'exec'), {{'__name__': '{NAME}'}})"
    f" for text in sys.argv[-1:] if text.startswith('{_MARK}')]\n"
)
"""Goes into the folder of the environment's packages, under `HOOK_NAME`."""
_FILE = Path(__file__).with_name("warm_python.py")


def command(channel: int) -> list[str]:
    """What starts a warm Python that speaks over the descriptor `channel`, in words that Python's own view begins with
    as it does for a step."""
    return ["python3", "-m", EXECUTOR, str(channel), f"{_MARK}{_FILE}"]
