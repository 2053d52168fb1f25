"""Unicode, quotes, newlines, braces, placeholders and shell words: through parameters, f-strings, items and artifacts.

Texts with line breaks are arguments: the SDK writes defaults into comments of the compiled file as they are.
"""

from kfp import compiler, dsl

TEXTS = [
    "Grüße, 世界 \U0001f40d\u202e",
    "'single' \"double\" `back` \\ back\\\\slash",
    "line one\nline two\r\n\ttabbed\u2028",
    "$(touch /tmp/penstock-was-here); `id` && rm -rf $HOME | cat > x #",
    "{{$.pipeline_job_name}} {{$}} {{ jinja }} ${var} %s {0} {'a': 1}",
    "null",
    " -- --flag=value ",
]


@dsl.component
def echo(text: str, copy: dsl.Output[dsl.Artifact]) -> str:
    with open(copy.path, "w", newline="") as file:
        file.write(text)
    copy.metadata["text"] = text
    return text


@dsl.component
def join(first: str, second: str) -> str:
    return first + "|" + second


@dsl.component
def check(given: list, echoed: list, copies: dsl.Input[list[dsl.Artifact]], joined: str):
    assert echoed == given, (echoed, given)
    assert [open(copy.path, newline="").read() for copy in copies] == given
    assert [copy.metadata["text"] for copy in copies] == given
    assert joined == f"<{given[1]}>|{given[2]}", joined


@dsl.pipeline(name="hostile-texts")
def pipeline(quoted: str, lines: str, texts: list = TEXTS):
    with dsl.ParallelFor(texts) as text:
        echoed = echo(text=text)
    joined = join(first=f"<{quoted}>", second=lines)
    check(
        given=texts,
        echoed=dsl.Collected(echoed.outputs["Output"]),
        copies=dsl.Collected(echoed.outputs["copy"]),
        joined=joined.output,
    )


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
