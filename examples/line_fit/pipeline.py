"""Fit a line to noisy points, twice, and keep the better fit: a small training pipeline written with the KFP SDK.

Compile it with `kfp dsl compile --py pipeline.py --output pipeline.yaml`; the compiled file stands beside it.
"""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="python:3.11")
def make_points(count: int, slope: float, noise: float, points: Output[Dataset]) -> None:
    """Write `count` points that lie near a line of the given slope."""
    import json
    import random

    generator = random.Random(7)
    rows = [[x / count, slope * x / count + generator.gauss(0, noise)] for x in range(count)]
    with open(points.path, "w") as file:
        json.dump(rows, file)
    points.metadata["rows"] = count


@dsl.component(base_image="python:3.11")
def fit_line(points: Input[Dataset], rate: float, epochs: int, model: Output[Model]) -> None:
    """Fit slope and intercept by gradient descent."""
    import json

    with open(points.path) as file:
        rows = json.load(file)
    slope = intercept = 0.0
    for epoch in range(epochs):
        errors = [(slope * x + intercept - y, x) for x, y in rows]
        slope -= rate * sum(error * x for error, x in errors) / len(rows)
        intercept -= rate * sum(error for error, _ in errors) / len(rows)
        if epoch % max(1, epochs // 5) == 0:
            print(f"epoch {epoch}: slope {slope:.4f}, intercept {intercept:.4f}")
    with open(model.path, "w") as file:
        json.dump({"slope": slope, "intercept": intercept}, file)
    model.metadata["framework"] = "plain Python"


@dsl.component(base_image="python:3.11")
def evaluate(points: Input[Dataset], model: Input[Model], metrics: Output[Metrics]) -> float:
    """Log the mean squared error of `model` on `points` and return it."""
    import json

    with open(points.path) as file:
        rows = json.load(file)
    with open(model.path) as file:
        line = json.load(file)
    error = sum((line["slope"] * x + line["intercept"] - y) ** 2 for x, y in rows) / len(rows)
    metrics.log_metric("mean_squared_error", error)
    return error


@dsl.component(base_image="python:3.11")
def choose(slow_error: float, fast_error: float) -> NamedTuple("Choice", winner=str, error=float):
    """Name the fit with the smaller error."""
    from collections import namedtuple

    winner = "slow" if slow_error <= fast_error else "fast"
    return namedtuple("Choice", "winner error")(winner, min(slow_error, fast_error))


@dsl.container_component
def announce(winner: str, error: float, message: dsl.OutputPath(str)):
    """Say who won, as any program in any image could."""
    return dsl.ContainerSpec(
        image="alpine:3.22",
        command=["sh", "-c", 'printf "the %s fit wins, mean squared error %s" "$0" "$1" | tee "$2"'],
        args=[winner, error, message],
    )


@dsl.pipeline(name="line-fit", description="Fits a line twice and keeps the better fit.")
def line_fit(count: int = 200, slope: float = 2.5, epochs: int = 400) -> str:
    points = make_points(count=count, slope=slope, noise=0.1)
    slow = fit_line(points=points.output, rate=0.05, epochs=epochs).set_display_name("fit slowly")
    fast = fit_line(points=points.output, rate=0.5, epochs=epochs).set_display_name("fit fast")
    slow_score = evaluate(points=points.output, model=slow.output)
    fast_score = evaluate(points=points.output, model=fast.output)
    choice = choose(slow_error=slow_score.outputs["Output"], fast_error=fast_score.outputs["Output"])
    said = announce(winner=choice.outputs["winner"], error=choice.outputs["error"])
    return said.outputs["message"]
