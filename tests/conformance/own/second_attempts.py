"""Retries in a loop, and in a sub-pipeline whose retries its steps inherit; each step fails once, then works."""

from kfp import compiler, dsl


@dsl.component
def flaky(name: str) -> str:
    import os

    attempt = int(os.environ["KFP_RETRY_INDEX"])
    assert attempt >= 1, f"{name} fails at first"
    return f"{name} at try {attempt}"


@dsl.pipeline
def inner(name: str) -> str:
    return flaky(name=name).output


@dsl.component
def check(looped: list, held: str) -> list:
    assert looped == ["a at try 1", "b at try 1"], looped
    assert held == "held at try 1", held
    return looped


@dsl.pipeline(name="second-attempts")
def pipeline() -> list:
    with dsl.ParallelFor(["a", "b"], parallelism=1) as name:
        tried = flaky(name=name).set_retry(num_retries=2, backoff_duration="0s")
    held = inner(name="held").set_retry(num_retries=1, backoff_duration="0s", backoff_factor=2)
    return check(looped=dsl.Collected(tried.output), held=held.output).output


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
