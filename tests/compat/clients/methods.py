"""Stories of `kfp.Client`; the test sees to it that every public method is called by one."""

from typing import Any

import kfp

from tests.compat.clients import client_pipelines, client_places, client_recurring_runs, client_runs
from tests.compat.clients.telling import public_methods, tell, told_of

STORIES = (*client_places.STORIES, *client_pipelines.STORIES, *client_runs.STORIES, *client_recurring_runs.STORIES)


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Acts them out against a server that has nothing yet. Tokens and cookies, which it does not read, do no harm."""
    methods = public_methods(kfp.Client(host=f"{asked['host']}/", existing_token="some token", cookies="some=cookie"))
    left_out = asked["left_out"].get(kfp.__version__, ())
    return {"version": kfp.__version__, **told_of(methods, STORIES, left_out)}


if __name__ == "__main__":
    tell(main)
