"""A text of a million characters through a parameter, a sub-pipeline, a condition, a loop and an artifact."""

from kfp import compiler, dsl


@dsl.component
def make(length: int) -> str:
    return "é" + "x" * (length - 1)


@dsl.component
def write(text: str, copy: dsl.Output[dsl.Dataset]) -> str:
    with open(copy.path, "w") as file:
        file.write(text)
    return text


@dsl.component
def check(text: str, texts: list, copy: dsl.Input[dsl.Dataset], length: int):
    assert len(text) == length, len(text)
    assert texts == [text, text], [len(each) for each in texts]
    assert open(copy.path).read() == text


@dsl.pipeline
def inner(text: str) -> str:
    return write(text=text).outputs["Output"]


@dsl.pipeline(name="long-texts")
def pipeline(length: int = 1_000_000):
    made = make(length=length)
    passed = inner(text=made.output)
    with dsl.If(passed.output != "short"):
        with dsl.ParallelFor([1, 2]):
            repeated = inner(text=passed.output)
        written = write(text=passed.output)
        check(
            text=passed.output,
            texts=dsl.Collected(repeated.output),
            copy=written.outputs["copy"],
            length=length,
        )


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
