"""An exit handler around a loop whose third pass fails: the other passes go on, and the exit task is told."""

from kfp import compiler, dsl


@dsl.component
def divide(divisor: int) -> float:
    return 12 / divisor


@dsl.component
def after_all(quotients: list):
    raise AssertionError(f"not to be reached: {quotients}")


@dsl.component
def conclude(note: str, status: dsl.PipelineTaskFinalStatus) -> str:
    assert status.state == "FAILED", status
    assert status.pipeline_task_name == "exit-handler-1", status
    assert status.error_message, status
    return f"{note}: {status.state}"


@dsl.pipeline(name="exit-after-failing-iteration")
def pipeline(note: str = "the end"):
    with dsl.ExitHandler(conclude(note=note)):
        with dsl.ParallelFor([1, 2, 0, 4]) as divisor:
            quotient = divide(divisor=divisor)
        after_all(quotients=dsl.Collected(quotient.output))


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
