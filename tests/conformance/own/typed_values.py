"""Booleans, lists and dicts, with defaults and without, compared, selected and passed on unchanged."""

from kfp import compiler, dsl


@dsl.component
def settings(mode: str, count: int = 2) -> dict:
    return {"mode": mode, "count": count, "flag": mode == "fast", "steps": [1, [2, {"three": None}]]}


@dsl.component
def pick(table: dict[str, object], name: str) -> bool:
    return bool(table[name])


@dsl.component
def show(flag: bool, numbers: list[int], table: dict[str, float], plain: list, other: dict) -> list:
    return [flag, numbers, table, plain, other]


@dsl.component
def same(values: list) -> list:
    return values


@dsl.component
def check(told: list, chosen: list):
    assert told == [True, [3, 1, 2], {"a": 0.5}, ["y", "x", {}], {"k": [False]}], told
    assert chosen == [[False, [1], {"b": 2}, [], {}], [True, [2], {"b": 3}, [], {}]], chosen


@dsl.pipeline(name="typed-values")
def pipeline(flag: bool = True, numbers: list[int] = [3, 1, 2], table: dict[str, float] = {"a": 0.5}):
    told = show(flag=flag, numbers=numbers, table=table, plain=["y", "x", {}], other={"k": [False]})
    with dsl.ParallelFor(["fast", "slow"]) as mode:
        flagged = pick(table=settings(mode=mode).output, name="flag")
        with dsl.If(flagged.output == True):  # noqa: E712  # the SDK makes an expression of it
            fast = show(flag=False, numbers=[1], table={"b": 2.0}, plain=[], other={})
        with dsl.Else():
            slow = show(flag=True, numbers=[2], table={"b": 3.0}, plain=[], other={})
        chosen = same(values=dsl.OneOf(fast.output, slow.output))
    check(told=told.output, chosen=dsl.Collected(chosen.output))


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
