"""A workspace that steps in loops, branches and sub-pipelines share, and that an exit task still finds."""

from kfp import compiler, dsl


@dsl.component
def put(folder: str, name: str, text: str):
    import os

    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w") as file:
        file.write(text)


@dsl.component
def names(folder: str) -> list:
    import os

    return sorted(os.listdir(folder))


@dsl.component
def conclude(folder: str, status: dsl.PipelineTaskFinalStatus) -> list:
    import os

    found = sorted(os.listdir(folder))
    assert found == ["a", "b", "held"], found
    assert status.state == "COMPLETE", status
    return found


@dsl.pipeline
def inner(folder: str):
    put(folder=folder, name="held", text="by a sub-pipeline")


@dsl.pipeline(name="shared-workspace", pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def pipeline():
    folder = f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/shared"
    with dsl.ExitHandler(conclude(folder=folder)):
        with dsl.ParallelFor(["a", "b"]) as name:
            put(folder=folder, name=name, text="by a loop")
        held = inner(folder=folder)
        names(folder=folder).after(held)


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
