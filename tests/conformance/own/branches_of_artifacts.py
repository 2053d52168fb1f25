"""If, Elif and Else three levels deep, with OneOf of artifacts out of each level and of a loop's passes."""

from kfp import compiler, dsl


@dsl.component
def write(text: str, made: dsl.Output[dsl.Dataset]):
    with open(made.path, "w") as file:
        file.write(text)


@dsl.component
def read(made: dsl.Input[dsl.Dataset]) -> str:
    return open(made.path).read()


@dsl.pipeline
def innermost(number: int) -> dsl.Dataset:
    with dsl.If(number == 0):
        zero = write(text="zero")
    with dsl.Elif(number == 1):
        one = write(text="one")
    with dsl.Else():
        many = write(text="many")
    return dsl.OneOf(zero.outputs["made"], one.outputs["made"], many.outputs["made"])


@dsl.pipeline
def middle(number: int) -> dsl.Dataset:
    with dsl.If(number < 0):
        negative = write(text="negative")
    with dsl.Else():
        other = innermost(number=number)
    return dsl.OneOf(negative.outputs["made"], other.output)


@dsl.component
def check(words: list) -> list:
    assert words == ["negative", "zero", "one", "many"], words
    return words


@dsl.pipeline(name="branches-of-artifacts")
def pipeline() -> list:
    with dsl.ParallelFor([-4, 0, 1, 12]) as number:
        word = read(made=middle(number=number).output)
    return check(words=dsl.Collected(word.output)).output


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
