"""In which namespace a call works, and who makes it.

With a single user, which is the default and what KFP's SDK expects, everything lies in our namespace `default`;
namespaces in requests do not count, answers name none, and no header is read. With several users requests name their
namespace, and a header, which a proxy in front of the server has to set, names the user. Who may use which namespace is
for that proxy to decide: every user who is named may use all.
"""

from dataclasses import dataclass

from penstock_server.compat.refusals import wrong
from penstock_server.model.errors import Unauthenticated
from penstock_server.rpc.call import Call

DEFAULT = "default"
SHARED = DEFAULT
"""Where the pipelines are that all users share."""


@dataclass(frozen=True, slots=True)
class Spaces:
    """How namespaces are told apart."""

    multi_user: bool = False
    user_header: str = "x-goog-authenticated-user-email"
    """In lower case; read only with several users."""
    user_prefix: str = "accounts.google.com:"
    """Of the header's value; the user's name follows it."""

    def own(self, asked: str, call: Call, field: str = "namespace") -> str:
        """Where experiments, runs and recurring runs are made and listed.

        Raises InvalidArgument when several users have the server and none is named, and as `check_user` does.
        """
        self.check_user(call)
        if not self.multi_user:
            return DEFAULT
        if not asked:
            raise wrong(field, "must not be empty where several users have the server")
        return asked

    def shared(self, asked: str, call: Call) -> str:
        """Where pipelines are made and listed: without a namespace among those that all users share, in `default`."""
        self.check_user(call)
        return (asked or SHARED) if self.multi_user else DEFAULT

    def reachable(self, call: Call) -> str | None:
        """Where an id is looked for; None: everywhere. Raises as `check_user` does."""
        self.check_user(call)
        return None if self.multi_user else DEFAULT

    def shown(self, namespace: str) -> str:
        """What an answer says of the namespace."""
        return namespace if self.multi_user else ""

    def shown_shared(self, namespace: str) -> str:
        """What an answer says of a pipeline's namespace."""
        return "" if namespace == SHARED else self.shown(namespace)

    def check_user(self, call: Call) -> None:
        """Raise Unauthenticated USER_UNKNOWN when a user has to be named and is not."""
        if not self.multi_user:
            return
        value = call.metadata.get(self.user_header, "")
        if not value.startswith(self.user_prefix) or value == self.user_prefix:
            raise Unauthenticated(
                "USER_UNKNOWN", f"the header {self.user_header} has to name the user, as {self.user_prefix}NAME"
            )
