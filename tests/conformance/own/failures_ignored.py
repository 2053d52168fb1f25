"""Upstream failures that are ignored, in a branch and beside a loop, with a default in place of what was not made."""

from kfp import compiler, dsl


@dsl.component
def fails_above(number: int, limit: int) -> int:
    assert number <= limit, f"{number} is above {limit}"
    return number


@dsl.component
def report(number: int = -1) -> int:
    return number


@dsl.component
def choose(number: int) -> str:
    return "high" if number > 5 else "low"


@dsl.component
def tidy(what: str) -> str:
    return f"tidied {what}"


@dsl.pipeline(name="failures-ignored")
def pipeline(number: int = 9):
    kind = choose(number=number)
    with dsl.If(kind.output == "high"):
        failed = fails_above(number=number, limit=5)
        report(number=failed.output).ignore_upstream_failure()
    with dsl.Else():
        tidy(what="what was low")
    with dsl.ParallelFor([1, 4, 3]) as each:
        fails_above(number=each, limit=5)
    tidy(what="the loop").after(kind).ignore_upstream_failure()


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
