"""A Python that has the KFP executor loaded: for each byte of input it forks, and the child runs `identity`.

Run by the interpreter of a step environment as `python3 loaded_python.py FOLDER SOURCE`, where FOLDER is an empty
folder to work in and SOURCE the text of the component. Answers each byte with one when the child has ended.
"""

import argparse
import gc
import json
import os
import sys
from pathlib import Path

from kfp.dsl import executor_main


def main(folder: Path, source: str) -> None:
    """Serve until the input ends."""
    component = folder / "ephemeral_component.py"
    component.write_text(source)
    outputs = {
        "parameters": {"Output": {"outputFile": f"{folder}/Output"}},
        "outputFile": f"{folder}/out/metadata.json",
    }
    given = {"inputs": {"parameterValues": {"value": "x"}}, "outputs": outputs}
    sys.argv[1:] = ["--component_module_path", str(component), "--executor_input", json.dumps(given)]
    sys.argv += ["--function_to_execute", "identity"]
    parser = argparse.ArgumentParser()  # what parsers import when they are first used is loaded as well
    parser.add_argument("--any", help="any")
    parser.parse_known_args([])
    gc.collect()
    gc.freeze()
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while os.read(0, 1):
        pid = os.fork()
        if pid == 0:
            _run(log)
        assert os.waitpid(pid, 0)[1] == 0
        os.write(1, b".")


def _run(log: int) -> None:
    status = 1
    try:
        os.dup2(log, 1)
        executor_main.executor_main()
        sys.stdout.flush()
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
