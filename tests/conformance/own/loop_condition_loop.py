"""A loop in a condition in a loop, with OneOf out of the condition and Collected out of both loops."""

from kfp import compiler, dsl


@dsl.component
def parity(number: int) -> str:
    return "even" if number % 2 == 0 else "odd"


@dsl.component
def count_to(number: int) -> list:
    return list(range(1, number + 1))


@dsl.component
def times(left: int, right: int) -> int:
    return left * right


@dsl.component
def total(numbers: list) -> int:
    return sum(numbers)


@dsl.component
def negative(number: int) -> int:
    return -number


@dsl.component
def check(sums: list) -> list:
    assert sums == [-1, 2 * (1 + 2), -3, 4 * (1 + 2 + 3 + 4)], sums
    return sums


@dsl.pipeline(name="loop-condition-loop")
def pipeline() -> list:
    with dsl.ParallelFor([1, 2, 3, 4]) as number:
        kind = parity(number=number)
        with dsl.If(kind.output == "even"):
            factors = count_to(number=number)
            with dsl.ParallelFor(factors.output) as factor:
                product = times(left=number, right=factor)
            even = total(numbers=dsl.Collected(product.output))
        with dsl.Else():
            odd = negative(number=number)
        chosen = times(left=dsl.OneOf(even.output, odd.output), right=1)
    return check(sums=dsl.Collected(chosen.output)).output


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
