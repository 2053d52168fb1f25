"""Loops over lists of dicts: fields as items, of an input and of an output, nested, with a field that is a list."""

from kfp import compiler, dsl


@dsl.component
def plan() -> list:
    return [
        {"title": "small", "layers": [8], "options": {"rate": 0.5, "deep": {"er": "a"}}},
        {"title": "large", "layers": [64, 32], "options": {"rate": 0.25, "deep": {"er": "b"}}},
    ]


@dsl.component
def describe(name: str, layers: list, options: dict) -> str:
    return f"{name}:{layers}:{options['rate']}:{options['deep']['er']}"


@dsl.component
def layer(name: str, width: int) -> str:
    return f"{name}-{width}"


@dsl.component
def check(described: list, layers: list, cities: list):
    assert described == ["small:[8]:0.5:a", "large:[64, 32]:0.25:b"], described
    assert layers == [["small-8"], ["large-64", "large-32"]], layers
    assert cities == ["Oslo-1", "Lima-2"], cities


@dsl.pipeline(name="records-in-loops")
def pipeline(cities: list = [{"city": "Oslo", "rank": 1}, {"city": "Lima", "rank": 2}]):
    records = plan()
    with dsl.ParallelFor(records.output) as record:
        described = describe(name=record.title, layers=record.layers, options=record.options)
        with dsl.ParallelFor(record.layers) as width:
            one = layer(name=record.title, width=width)
    with dsl.ParallelFor(cities) as place:
        ranked = layer(name=place.city, width=place.rank)
    check(
        described=dsl.Collected(described.output),
        layers=dsl.Collected(one.output),
        cities=dsl.Collected(ranked.output),
    )


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
