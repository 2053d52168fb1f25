"""`docs/reference/errors.md`, made by `python -m penstock_server.rpc.errors_page > docs/reference/errors.md`."""

import sys

from google.rpc.code_pb2 import Code

from penstock_server.rpc.errors import DOMAIN, codes_of
from penstock_server.rpc.reasons import REASONS


def errors_page() -> str:
    """`docs/reference/errors.md`."""
    lines = [
        "# Errors",
        "",
        "Every call that fails carries a `google.rpc.Status` whose details hold an `ErrorInfo` with one",
        f"of these reasons and the domain `{DOMAIN}`. Reasons are stable; messages are for people and may",
        "change. Where fields are wrong a `BadRequest` names them, and where repeating helps a `RetryInfo`",
        "says after how long.",
        "",
        *_table(of_calls=True),
        "",
        "The same kind of errors tells why a server does not start, and travels between its parts:",
        "",
        *_table(of_calls=False),
    ]
    return "\n".join(lines) + "\n"


def _table(*, of_calls: bool) -> list[str]:
    lines = ["| Reason | Code | HTTP | Meaning | What to do |", "|---|---|---|---|---|"]
    for name, reason in sorted(REASONS.items()):
        if reason.of_calls is of_calls:
            told_as = codes_of(reason.kind)
            told = f"`{Code.Name(told_as.rpc)}` | {reason.http or told_as.http}"
            lines.append(f"| `{name}` | {told} | {reason.meaning} | {reason.remedy} |")
    return lines


if __name__ == "__main__":
    sys.stdout.write(errors_page())
