"""Steps that are cached beside steps that are not, in loops, with a key of their own or without."""

from kfp import compiler, dsl


@dsl.component
def draw(seed: int) -> float:
    import random

    return random.SystemRandom().random() + seed


@dsl.component
def check(cached: list, fresh: list, shared: list):
    assert len(set(cached)) == 1, cached
    assert len(set(fresh)) == 3, fresh
    assert len(set(shared)) == 1, shared


@dsl.pipeline(name="cached-and-not")
def pipeline(seed: int = 7):
    with dsl.ParallelFor([1, 2, 3], parallelism=1):
        cached = draw(seed=seed)
        fresh = draw(seed=seed).set_caching_options(False)
    with dsl.ParallelFor([100, 200], parallelism=1) as other:
        shared = draw(seed=other).set_caching_options(True, cache_key="shared")
    check(
        cached=dsl.Collected(cached.output),
        fresh=dsl.Collected(fresh.output),
        shared=dsl.Collected(shared.output),
    )


if __name__ == "__main__":
    compiler.Compiler().compile(pipeline, __file__.replace(".py", ".yaml"))
