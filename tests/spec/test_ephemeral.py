"""KFP's Python components are recognised by their script, and nothing else is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock_server.spec.ephemeral import EphemeralComponent, ephemeral_component
from penstock_server.spec.packages import split_pip_prologue

CORPUS = Path(__file__).parent.parent / "corpus"
OWN = Path(__file__).parent.parent / "conformance" / "own"
SCRIPT = """program_path=$(mktemp -d)

printf "%s" "$0" > "$program_path/ephemeral_component.py"
_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main --component_module_path  "$program_path/ephemeral_component.py"  "$@"
"""


def commands() -> Iterator[list[str]]:
    """The command of each container of the corpus, without the installation of its packages."""
    for path in sorted([*CORPUS.rglob("*.yaml"), *OWN.rglob("*.yaml")]):
        for document in yaml.safe_load_all(path.read_text()):
            for executor in _executors(document):
                container = executor.get("container", {})
                yield split_pip_prologue([*container.get("command", []), *container.get("args", [])])[1]


def _executors(document: Any) -> list[dict[str, Any]]:
    spec = document.get("deploymentSpec", {}) if isinstance(document, dict) else {}
    return list(spec.get("executors", {}).values())


def test_each_component_of_the_corpus_that_brings_its_source_is_recognised() -> None:
    bringing = [argv for argv in commands() if any("/ephemeral_component.py" in word for word in argv[:3])]
    assert len(bringing) > 300
    for argv in bringing:
        component = ephemeral_component(argv)
        assert component is not None
        assert component.source == argv[3]
        assert component.arguments == tuple(argv[4:])
        assert "--function_to_execute" in component.arguments


def test_no_other_command_of_the_corpus_is_taken_for_one() -> None:
    others = [argv for argv in commands() if not any("/ephemeral_component.py" in word for word in argv[:3])]
    assert len(others) > 50
    assert [argv for argv in others if ephemeral_component(argv) is not None] == []


def test_blanks_in_the_script_do_not_matter() -> None:
    for script in (SCRIPT, SCRIPT.replace("    ", "\t "), f"\n\n{SCRIPT}\n", SCRIPT.replace("\n\n", "\n")):
        assert ephemeral_component(["sh", "-ec", script, "source", "-x"]) == EphemeralComponent("source", ("-x",))


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["sh", "-ec", SCRIPT],
        ["sh", "-c", SCRIPT, "source"],
        ["bash", "-ec", SCRIPT, "source"],
        ["sh", "-ec", SCRIPT + "echo more\n", "source"],
        ["sh", "-ec", "set -x\n" + SCRIPT, "source"],
        ["sh", "-ec", SCRIPT.replace("kfp.dsl.executor_main", "mine.executor_main"), "source"],
        ["sh", "-ec", SCRIPT.replace("_KFP_RUNTIME=true ", ""), "source"],
        ["sh", "-ec", SCRIPT.replace("python3", "python3 -u"), "source"],
        ["sh", "-ec", SCRIPT.replace('"$@"', "$@"), "source"],
        ["sh", "-ec", SCRIPT.replace('"%s"', '"% s"'), "source"],
    ],
)
def test_what_is_not_the_very_script_is_not_recognised(argv: list[str]) -> None:
    assert ephemeral_component(argv) is None
