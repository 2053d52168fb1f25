"""Artifacts collected through two nested loops and a sub-pipeline: one flat list, in order, with their metadata."""

from kfp import compiler, dsl


@dsl.component
def train(name: str, rate: float, model: dsl.Output[dsl.Model]) -> float:
    with open(model.path, "w") as file:
        file.write(f"{name} at {rate}")
    model.metadata["rate"] = rate
    return rate


@dsl.pipeline
def fitted(name: str, rate: float) -> dsl.Model:
    return train(name=name, rate=rate).outputs["model"]


@dsl.component
def check(models: dsl.Input[list[dsl.Model]]) -> int:
    told = [open(model.path).read() for model in models]
    assert told == [f"{name} at {rate}" for name in ("tree", "net") for rate in (0.1, 0.5, 0.25)], told
    assert [model.metadata["rate"] for model in models] == [0.1, 0.5, 0.25] * 2
    return len(models)


@dsl.pipeline(name="collected-models")
def pipeline() -> int:
    names, rates = ["tree", "net"], [0.1, 0.5, 0.25]
    with dsl.ParallelFor(names, parallelism=1) as name, dsl.ParallelFor(rates, parallelism=2) as rate:
        model = fitted(name=name, rate=rate)
    return check(models=dsl.Collected(model.output)).output


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
