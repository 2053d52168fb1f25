"""Optional inputs left out, null or given, through three levels of sub-pipelines, some with defaults."""

from typing import Optional

from kfp import compiler, dsl


@dsl.component
def see(
    text: Optional[str] = None,
    number: Optional[int] = None,
    items: Optional[list] = None,
    table: Optional[dict] = None,
    flag: Optional[bool] = None,
    own: Optional[str] = "of the step",
) -> list:
    return [text, number, items, table, flag, own]


@dsl.pipeline
def third(
    text: Optional[str] = None,
    number: Optional[int] = None,
    items: Optional[list] = None,
    table: Optional[dict] = None,
    flag: Optional[bool] = None,
) -> list:
    return see(text=text, number=number, items=items, table=table, flag=flag).output


@dsl.pipeline
def second(
    text: Optional[str] = None,
    number: Optional[int] = 7,
    items: Optional[list] = None,
    table: Optional[dict] = None,
    flag: Optional[bool] = None,
) -> list:
    return third(text=text, number=number, items=items, table=table, flag=flag).output


@dsl.pipeline
def first(
    text: Optional[str] = None,
    items: Optional[list] = None,
    table: Optional[dict] = None,
    flag: Optional[bool] = False,
) -> list:
    return second(text=text, items=items, table=table, flag=flag).output


@dsl.component
def null_list() -> list:
    return [None]


@dsl.component
def null_table() -> dict:
    return {"a": None}


@dsl.component
def check(nothing: list, given: list, direct: list):
    assert nothing == [None, 7, None, None, False, "of the step"], nothing
    assert given == ["", 7, [None], {"a": None}, False, "of the step"], given
    assert direct == [None, None, None, None, None, "of the step"], direct


@dsl.pipeline(name="null-through-levels")
def pipeline(text: Optional[str] = None, items: Optional[list] = None):
    nothing = first(text=text, items=items)
    given = first(text="", items=null_list().output, table=null_table().output)
    direct = third()
    check(nothing=nothing.output, given=given.output, direct=direct.output)


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
