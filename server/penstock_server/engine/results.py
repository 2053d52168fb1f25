"""Whether results that were made before are still there."""

from collections.abc import Callable

from penstock_server.model.resources import TaskValues

HasContent = Callable[[str], bool]
"""Whether the content of an artifact that was stored at that URI is still there."""


def anything(_uri: str) -> bool:
    """Believe in all of them: for stores that nothing is ever taken from."""
    return True


def missing(outputs: TaskValues, has_content: HasContent) -> str | None:
    """Name of an output whose content we stored and that is there no more; None when all is."""
    for name, made in outputs.artifacts.items():
        if not all(has_content(artifact.uri) for artifact in made if artifact.digest):
            return name
    return None
