"""What a step may learn of its run, in arguments, f-strings, loops and sub-pipelines: all tell the same run."""

from kfp import compiler, dsl


@dsl.component
def say(text: str) -> str:
    return text


@dsl.component
def same(name: str, uid: str, looped: list, held: str, task: str, made: str, resource: str):
    assert name, "the run's name"
    assert len(uid) == 36, uid
    assert looped == [f"{uid}/{letter}" for letter in "xy"], looped
    assert held == f"{name} ({uid})", held
    assert task == "say-2", task
    assert made.endswith("Z"), made
    assert resource.startswith("run-facts-"), resource


@dsl.pipeline
def inner(uid: str) -> str:
    return say(text=f"{dsl.PIPELINE_JOB_NAME_PLACEHOLDER} ({uid})").output


@dsl.pipeline(name="run-facts")
def pipeline():
    with dsl.ParallelFor(["x", "y"]) as letter:
        looped = say(text=f"{dsl.PIPELINE_JOB_ID_PLACEHOLDER}/{letter}")
    task = say(text=dsl.PIPELINE_TASK_NAME_PLACEHOLDER)
    held = inner(uid=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
    same(
        name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
        uid=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        looped=dsl.Collected(looped.output),
        held=held.output,
        task=task.output,
        made=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
        resource=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
    )


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
