"""Loops in loops with bounds of their own, over lists that steps of earlier passes made, empty ones among them."""

from kfp import compiler, dsl


@dsl.component
def spread(number: int) -> list:
    return list(range(number))


@dsl.component
def add(left: int, right: int) -> int:
    return left + right


@dsl.component
def check(sums: list) -> list:
    assert sums == [[[], [1]], [], [[], [1], [2, 3]]], sums
    return sums


@dsl.pipeline(name="nested-parallelism")
def pipeline() -> list:
    with dsl.ParallelFor([2, 0, 3], parallelism=2) as limit:
        numbers = spread(number=limit)
        with dsl.ParallelFor(numbers.output, parallelism=1) as number:
            many = spread(number=number)
            with dsl.ParallelFor(many.output, parallelism=3) as each:
                sums = add(left=number, right=each)
    return check(sums=dsl.Collected(sums.output)).output


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
