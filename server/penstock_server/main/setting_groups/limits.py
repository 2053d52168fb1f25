"""What callers may ask for at most."""

from dataclasses import dataclass

from penstock_server.main.setting_kinds import number, seconds, size_bytes

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """Sizes, times and calls at a time."""

    receive_bytes_max: int = size_bytes(
        "Size of a request, on every transport.", default=4 * MIB, minimum=64 * 1024, maximum=512 * MIB
    )
    send_bytes_max: int = size_bytes(
        "Size of a response over gRPC.", default=64 * MIB, minimum=64 * 1024, maximum=1024 * MIB
    )
    call_time_max_s: float = seconds(
        "A call that takes longer ends with DEADLINE_EXCEEDED. Streams have no limit.", default=60.0, minimum=1
    )
    calls_max: int = number(
        "Calls under way at a time, over all services and transports. Further ones are refused at once: HTTP "
        "answers 429 with Retry-After, gRPC RESOURCE_EXHAUSTED.",
        default=128,
        minimum=8,
        maximum=100_000,
    )
    streams_max: int = number(
        "Streams under way at a time, such as watches and logs that are followed. Further ones are refused likewise.",
        default=4096,
        minimum=8,
        maximum=1_000_000,
    )
