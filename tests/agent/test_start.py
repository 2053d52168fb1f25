"""The agent's start is paid twice in every pod: what it loads is listed here, so that it stays little."""

import subprocess
import sys
from pathlib import Path

import pytest

SERVER = Path(__file__).resolve().parents[2] / "server"
HEAVY = {"asyncio", "dataclasses", "inspect", "logging", "pathlib", "shutil", "socket", "ssl", "subprocess", "tempfile"}
HEAVY |= {"hashlib"}  # It brings OpenSSL.
LOADED = """
import sys
sys.path.append(sys.argv[1])
for name in sys.argv[2:]:
    __import__(name)
print(*sys.modules)
"""


def loaded(*modules: str) -> set[str]:
    command = [sys.executable, "-I", "-S", "-c", LOADED, str(SERVER), *modules]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("stage", ["stage_in", "stage_out"])
def test_on_a_shared_volume_a_stage_needs_few_modules_and_no_package(stage: str) -> None:
    names = loaded("penstock_agent.__main__", f"penstock_agent.{stage}", "penstock_agent.folder_store")
    assert not names & HEAVY
    ours = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names | {"__main__"}}
    assert {name.split(".")[0] for name in ours} == {"penstock_agent"}


def test_before_it_keeps_its_end_the_agent_loads_next_to_nothing() -> None:
    assert loaded("penstock_agent.__main__") - loaded("os", "signal") == {"penstock_agent", "penstock_agent.__main__"}
