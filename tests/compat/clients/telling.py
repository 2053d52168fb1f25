"""Acts out stories, keeps which methods they called, and tells how they ended."""

import inspect
import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from kfp_server_api import ApiException

CODES = {400: (3, 9), 404: (5,), 409: (6, 10), 501: (12,)}
"""Those of gRPC, by HTTP status."""

Methods = dict[str, Callable[..., Any]]
Story = Callable[[Any, Path], None]
"""Given what it calls, and a folder of its own."""


class Recorded:
    """Methods, as if they were of one object; those that were called and gave an answer are kept."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self.answered: set[str] = set()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = self._methods[name]

        def call(*arguments: Any, **options: Any) -> Any:
            answer = method(*arguments, **options)
            self.answered.add(name)
            return answer

        return call


def public_methods(instance: object) -> Methods:
    """The methods that callers may use, by name."""
    found = inspect.getmembers(instance, inspect.ismethod)
    return {name: method for name, method in found if not name.startswith("_")}


def told_of(methods: Methods, stories: Sequence[Story], left_out: Collection[str] = ()) -> dict[str, Any]:
    """Acts out the stories but for those left out: which methods there are, which answered, and what went wrong."""
    recorded = Recorded(methods)
    return {
        "wrong": errors_of(stories, recorded, left_out),
        "methods": sorted(methods),
        "answered": sorted(recorded.answered),
        "stories": [story.__name__ for story in stories],
    }


def errors_of(stories: Sequence[Story], client: Any, left_out: Collection[str]) -> dict[str, str]:
    """The stories that went wrong, with where and why."""
    acted = [story for story in stories if story.__name__ not in left_out]
    return {story.__name__: error for story in acted if (error := _error_of(story, client))}


def _error_of(story: Story, client: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            story(client, Path(folder))
        except Exception:
            return traceback.format_exc()
    return ""


def equal(seen: Any, wanted: Any) -> None:
    """Raises AssertionError, with both, unless they are."""
    assert seen == wanted, f"\n  seen   {seen!r}\n  wanted {wanted!r}"


def refusal(status: int, call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The message of the error with which a call has to be refused. Raises AssertionError when it is not."""
    error = _error(call, arguments, options)
    assert error.status == status, f"{error.status} in place of {status}: {error.body}"
    body = json.loads(error.body)
    if "error_message" in body:  # Of an upload.
        return str(body["error_message"])
    assert body["code"] in CODES[status], body
    assert (body["details"][0]["code"], body["details"][0]["message"]) == (body["code"], body["message"]), body
    return str(body["message"])


def _error(call: Callable[..., Any], arguments: Any, options: Any) -> ApiException:
    try:
        answer = call(*arguments, **options)
    except ApiException as error:
        return error
    raise AssertionError(f"not refused: {answer!r}")


def tell(main: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Reads one JSON object from the input and writes what `main` makes of it; what clients print goes to stderr."""
    asked = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):
        told = main(asked)
    json.dump(told, sys.stdout)
