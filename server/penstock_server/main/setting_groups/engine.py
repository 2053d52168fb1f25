"""How runs are driven, and jobs fired."""

from dataclasses import dataclass

from penstock_server.main.setting_kinds import choice, number, seconds


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Reuse of results, runs at a time, times between servers."""

    cache_policy: str = choice(
        "What runs do with the results of earlier runs where neither they nor their pipeline versions say so. "
        "`default`: as each task of the pipeline says. `disabled`: nothing is read or offered. `refresh`: nothing is "
        "read, but offered.",
        default="default",
        choices=("default", "disabled", "refresh"),
        metavar="POLICY",
    )
    cache_max_age_s: float = seconds(
        "Results of earlier runs that are older are not reused where neither run nor version says so. 0: of any age.",
        default=0.0,
        default_text="any age",
        minimum=0,
    )
    lease_ttl_s: float = seconds(
        "When a server has not been heard of for so long, others on the same database take its runs over.",
        default=10.0,
        minimum=1,
        maximum=3600,
    )
    poll_s: float = seconds(
        "How often to look for work without having been notified of any.", default=2.0, minimum=0.05, maximum=60
    )
    runs_max: int = number(
        "Runs that this server drives at a time; further ones wait in the database.", default=1000, minimum=1
    )
    job_grace_s: float = seconds(
        "A slot of a job that no server has taken up so long after it fell due was missed: the job's catch-up "
        "policy says what becomes of it.",
        default=60.0,
        minimum=1,
        maximum=86_400,
    )
    job_slots_kept: int = number(
        "So many slots of each job stay in its record, the newest, and all that wait.", default=10_000, minimum=100
    )
    drain_s: float = seconds(
        "How long calls under way may take once the server was told to end. Steps are left running and found "
        "again by the next server.",
        default=10.0,
        minimum=0,
    )
