"""Pipelines that stories run."""

import json
from pathlib import Path

from kfp import compiler, dsl

NOBODY = "00000000-0000-4000-8000-000000000000"
"""An id of nothing."""
ODD_NAMES = ("größe & 100% + a/b?x=1", "日本 #1", 'it\'s "so" <b>\\n</b>')


@dsl.container_component  # type: ignore[untyped-decorator]  # the SDK has no types
def say(text: str):  # type: ignore[no-untyped-def]  # the SDK wants no type of the answer
    """Says it, and fails at `fail`."""
    return dsl.ContainerSpec(image="busybox", command=["sh", "-c", 'echo "$0"; test "$0" != fail'], args=[text])


@dsl.container_component
def sleep():  # type: ignore[no-untyped-def]  # the SDK wants no type of the answer
    """Sleeps for longer than any test."""
    return dsl.ContainerSpec(image="busybox", command=["sleep", "600"])


@dsl.pipeline(name="talk")  # type: ignore[untyped-decorator]  # the SDK has no types
def talk(text: str = "hello") -> None:
    """Says something."""
    say(text=text)


@dsl.pipeline(name="rest")  # type: ignore[untyped-decorator]  # the SDK has no types
def rest() -> None:
    """Sleeps."""
    sleep()


def compiled(pipeline: object, folder: Path) -> str:
    """Where the pipeline's package is, below `folder`."""
    path = folder / f"{pipeline.name}.yaml"  # type: ignore[attr-defined]  # the SDK has no types
    compiler.Compiler().compile(pipeline, str(path))
    return str(path)


def where(**wanted: str) -> str:
    """A filter, as the SDK's documentation writes it: all of these are equal."""
    predicates = [{"operation": 1, "key": key, "stringValue": value} for key, value in wanted.items()]
    return json.dumps({"predicates": predicates})
