"""Importers with metadata and URIs made at run time, in a loop and a branch; what they bring is collected and read."""

from typing import NamedTuple

from kfp import compiler, dsl


@dsl.component
def write(name: str) -> NamedTuple("Written", [("uri", str), ("name", str)]):
    import os
    import tempfile

    path = os.path.join(tempfile.mkdtemp(dir="/tmp", prefix="penstock-imported-"), name)
    with open(path, "w") as file:
        file.write(name)
    return path, name


@dsl.component
def check(sets: dsl.Input[list[dsl.Dataset]], one: dsl.Input[dsl.Model]):
    assert [open(each.path).read() for each in sets] == ["left", "right"], [each.uri for each in sets]
    assert [each.metadata["side"] for each in sets] == ["left", "right"]
    assert [each.metadata["deep"]["rank"] for each in sets] == [3, 3]
    assert open(one.path).read() == "alone"
    assert one.metadata == {"kind": "copied", "left": "alone"}, one.metadata


@dsl.pipeline(name="imported-lists")
def pipeline(kind: str = "copied"):
    with dsl.ParallelFor(["left", "right"]) as side:
        written = write(name=side)
        imported = dsl.importer(
            artifact_uri=written.outputs["uri"],
            artifact_class=dsl.Dataset,
            metadata={"side": written.outputs["name"], "deep": {"rank": 3}},
        )
    with dsl.If(kind == "copied"):
        alone = write(name="alone")
        copied = dsl.importer(
            artifact_uri=alone.outputs["uri"],
            artifact_class=dsl.Model,
            reimport=True,
            metadata={"kind": kind, "left": "alone"},
        )
    with dsl.Else():
        other = write(name="other")
        linked = dsl.importer(artifact_uri=other.outputs["uri"], artifact_class=dsl.Model, metadata={"kind": "linked"})
    check(
        sets=dsl.Collected(imported.output),
        one=dsl.OneOf(copied.outputs["artifact"], linked.outputs["artifact"]),
    )


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
