"""KFP's API."""

from dataclasses import dataclass

from penstock_server.main.setting_kinds import choice, flag, seconds, text, texts


@dataclass(frozen=True, kw_only=True)
class KfpSettings:
    """Users, states and downloads as clients of KFP know them."""

    kfp_multi_user: bool = flag(
        "Clients of KFP name their namespace, and a header names the user. Off: KFP's API works in the namespace "
        "`default` and reads no header. On: a proxy in front has to set the header and to decide who may use which "
        "namespace; every user who is named may use all.",
        default=False,
    )
    kfp_user_header: str = text("The header that names the user.", default="x-goog-authenticated-user-email")
    kfp_user_prefix: str = text(
        "What stands before the name in that header.", default="accounts.google.com:", metavar="TEXT"
    )
    kfp_cancelled_state: str = choice(
        "What clients of KFP are told of a run that was cancelled. `FAILED`, as KFP's own server says; for a run "
        "that is `CANCELED` KFP's SDK waits without end.",
        default="FAILED",
        choices=("FAILED", "CANCELED"),
        metavar="STATE",
    )
    kfp_url_hosts: tuple[str, ...] = texts(
        "Hosts that pipelines are downloaded from when a client of KFP names an address. Only https, the default "
        "port and public addresses.",
        default=("storage.googleapis.com", "s3.amazonaws.com", "github.com", "raw.githubusercontent.com"),
    )
    kfp_url_private_hosts: tuple[str, ...] = texts(
        "Hosts that may also be on private addresses and other ports: sites of your own."
    )
    kfp_url_allow_http: bool = flag(
        "Download over plain http too. Whoever is between can change the pipeline.", default=False
    )
    kfp_url_timeout_s: float = seconds("How long such a download may take.", default=30.0, minimum=1, maximum=50)
