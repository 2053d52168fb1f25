"""Collected parameters and artifacts over passes whose condition skips some, and over passes that are all skipped."""

from kfp import compiler, dsl


@dsl.component
def write(number: int, text: dsl.Output[dsl.Dataset]) -> int:
    with open(text.path, "w") as file:
        file.write(str(number))
    text.metadata["number"] = number
    return number * number


@dsl.component
def check(squares: list, texts: dsl.Input[list[dsl.Dataset]], none: list) -> list:
    assert squares == [9, 25], squares
    assert [open(text.path).read() for text in texts] == ["3", "5"]
    assert [text.metadata["number"] for text in texts] == [3, 5]
    assert none == [], none
    return squares


@dsl.pipeline(name="collected-over-skipped")
def pipeline(least: int = 3) -> list:
    with dsl.ParallelFor([1, 3, 2, 5]) as number, dsl.If(number >= least), dsl.If(number != 2):
        written = write(number=number)
    with dsl.ParallelFor([1, 2]) as number, dsl.If(number > 100):
        never = write(number=number)
    return check(
        squares=dsl.Collected(written.outputs["Output"]),
        texts=dsl.Collected(written.outputs["text"]),
        none=dsl.Collected(never.outputs["Output"]),
    ).output


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
