"""Numbers at the edges: 1e300, the smallest double, integers to 2^53 and beyond; as parameters, items, in lists.

A parameter of a run is a double; what steps make and hand on keeps every digit.
"""

from kfp import compiler, dsl

DOUBLES = [1e300, -1e300, 5e-324, 0.1, -0.5, 1e-7]
INTEGERS = [0, -1, 2**31, -(2**31) - 1, 2**53, -(2**53)]


@dsl.component
def double(number: float) -> float:
    return number


@dsl.component
def integer(number: int) -> int:
    return number


@dsl.component
def made() -> dict:
    return {"big": 2**53, "small": 5e-324, "half": 0.5, "list": [1e300, -1, 3.0]}


@dsl.component
def beyond() -> int:
    return 2**53 + 1


@dsl.component
def next_one(number: int) -> int:
    assert number == 2**53 + 1, number
    return number + 1


@dsl.component
def check(doubles: list, integers: list, table: dict, huge: float, limit: int, third: float, after: int):
    assert doubles == [1e300, -1e300, 5e-324, 0.1, -0.5, 1e-7], doubles
    assert integers == [0, -1, 2**31, -(2**31) - 1, 2**53, -(2**53)], integers
    assert all(isinstance(number, int) for number in integers), integers
    assert table == {"big": 2**53, "small": 5e-324, "half": 0.5, "list": [1e300, -1, 3]}, table
    assert (huge, limit, third) == (1e300, 2**53 - 1, 1 / 3), (huge, limit, third)
    assert after == 2**53 + 2, after
    assert isinstance(limit, int), limit
    assert isinstance(huge, float), huge


@dsl.pipeline(name="extreme-numbers")
def pipeline(huge: float = 1e300, limit: int = 2**53 - 1, doubles: list = DOUBLES):
    with dsl.ParallelFor(doubles) as number:
        same = double(number=number)
    with dsl.ParallelFor(INTEGERS) as number:
        whole = integer(number=number)
    check(
        doubles=dsl.Collected(same.output),
        integers=dsl.Collected(whole.output),
        table=made().output,
        huge=double(number=huge).output,
        limit=integer(number=limit).output,
        third=double(number=1 / 3).output,
        after=next_one(number=beyond().output).output,
    )


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
