"""An empty dict, list and text as argument, default, constant, loop item, collected list, output and metadata."""

from kfp import compiler, dsl


@dsl.component
def echo(items: list = [], table: dict = {}, text: str = "") -> list:
    return [items, table, text]


@dsl.component
def nothing() -> list:
    return []


@dsl.component
def no_table(empty: dsl.Output[dsl.Artifact]) -> dict:
    empty.metadata["items"] = []
    empty.metadata["table"] = {}
    open(empty.path, "w").close()
    return {}


@dsl.component
def check(given: list, constants: list, defaults: list, outputs: list, passed: list, none: list, nested: list):
    empty = [[], {}, ""]
    assert [given, constants, defaults, outputs] == [empty] * 4, [given, constants, defaults, outputs]
    assert passed == [[[], {}, ""], [[], {}, ""]], passed
    assert none == [], none
    assert nested == [[], []], nested


@dsl.component
def check_artifact(empty: dsl.Input[dsl.Artifact]):
    assert empty.metadata["items"] == [], empty.metadata
    assert empty.metadata["table"] == {}, empty.metadata
    assert open(empty.path).read() == ""


@dsl.pipeline(name="empty-values")
def pipeline(items: list = [], table: dict = {}, text: str = "", tables: list = [{}, {}]) -> list:
    given = echo(items=items, table=table, text=text)
    constants = echo(items=[], table={}, text="")
    defaults = echo()
    no_items, no_fields = nothing(), no_table()
    outputs = echo(items=no_items.output, table=no_fields.outputs["Output"])
    with dsl.ParallelFor(tables) as each:
        passed = echo(table=each)
    with dsl.ParallelFor(no_items.output) as item:
        never = echo(text=item)
    with dsl.ParallelFor([1, 2]), dsl.ParallelFor(items) as item:
        never_either = echo(text=item)
    check_artifact(empty=no_fields.outputs["empty"])
    check(
        given=given.output,
        constants=constants.output,
        defaults=defaults.output,
        outputs=outputs.output,
        passed=dsl.Collected(passed.output),
        none=dsl.Collected(never.output),
        nested=dsl.Collected(never_either.output),
    )
    return no_items.output


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
