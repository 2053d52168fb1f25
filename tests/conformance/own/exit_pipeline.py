"""A whole sub-pipeline as exit task, with a loop and a condition in it, after a sub-pipeline that fails."""

from kfp import compiler, dsl


@dsl.component
def fail(message: str) -> str:
    raise RuntimeError(message)


@dsl.component
def never(text: str):
    raise AssertionError(f"not to be reached: {text}")


@dsl.component
def notify(who: str, news: str) -> str:
    return f"{who} heard of {news}"


@dsl.component
def check(messages: list) -> list:
    assert messages == ["ann heard of the end", "bob heard of the end"], messages
    return messages


@dsl.pipeline
def work(message: str):
    never(text=fail(message=message).output)


@dsl.pipeline
def conclude(people: list, news: str):
    with dsl.If(news != ""):
        with dsl.ParallelFor(people) as who:
            message = notify(who=who, news=news)
        check(messages=dsl.Collected(message.output))
    with dsl.Else():
        never(text=news)


@dsl.pipeline(name="exit-pipeline")
def pipeline(people: list = ["ann", "bob"], message: str = "on purpose"):
    with dsl.ExitHandler(conclude(people=people, news="the end")):
        work(message=message)


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
