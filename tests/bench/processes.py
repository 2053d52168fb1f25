"""What the kernel says of the processes that are measured: memory, CPU time, reads and writes."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_A_S = os.sysconf("SC_CLK_TCK")
_MIB = 1024.0


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used so far."""

    cpu_s: float
    """Of its own."""
    children_cpu_s: float
    """Of its children that have ended and were waited for."""
    system_calls: int
    """That read or write."""
    switches: int
    """How often it has waited for something."""

    def __sub__(self, before: "Used") -> "Used":
        return Used(
            self.cpu_s - before.cpu_s,
            self.children_cpu_s - before.children_cpu_s,
            self.system_calls - before.system_calls,
            self.switches - before.switches,
        )


def used(pid: int) -> Used:
    """What the process has used up to this moment."""
    own, system, children, children_system = _stat(pid)[11:15]
    counts = _fields(Path(f"/proc/{pid}/io"))
    switches = _fields(Path(f"/proc/{pid}/status"))["voluntary_ctxt_switches"]
    return Used(
        (int(own) + int(system)) / _TICKS_A_S,
        (int(children) + int(children_system)) / _TICKS_A_S,
        int(counts["syscr"]) + int(counts["syscw"]),
        int(switches),
    )


def family_cpu_s(pid: int) -> float:
    """CPU seconds of the process and its living children, such as a Postgres with its backends."""
    pids = [pid, *(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())]
    members = [member for member in dict.fromkeys(pids) if member == pid or _parent(member) == pid]
    return sum(used(member).cpu_s for member in members)


def memory_mib(pid: int) -> float:
    """Resident at this moment."""
    return _kib(pid, "VmRSS") / _MIB


def memory_peak_mib(pid: int) -> float:
    """The most that was resident since the start, or since the peak was begun anew."""
    return _kib(pid, "VmHWM") / _MIB


def begin_memory_peak(pid: int) -> None:
    """Let the peak begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _kib(pid: int, field: str) -> float:
    return float(_fields(Path(f"/proc/{pid}/status"))[field].split()[0])


def _parent(pid: int) -> int | None:
    try:
        return int(_stat(pid)[1])
    except (FileNotFoundError, ProcessLookupError):
        return None  # it has ended meanwhile


def _stat(pid: int) -> list[str]:
    """The fields behind the command's name, the state being the first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _fields(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in pairs}
