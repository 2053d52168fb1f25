"""Compiles every pipeline of this folder again, or those that are named: `python compile.py [name ...]`.

It needs the SDK whose version `README.md` names, in an environment of its own.
"""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> None:
    """Run each source as its author would."""
    for path in sorted(HERE.glob("*.py")):
        if path.name != Path(__file__).name and (not names or path.stem in names):
            runpy.run_path(str(path), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
