"""The plan of an attempt: what the server writes is what the agent reads."""

import json

import pytest

from penstock_agent.plan import (
    READABLE_BYTES_MAX,
    VERSION,
    Fetch,
    OutputArtifact,
    PlanError,
    StagePlan,
    StoreOptions,
)

SMALL = StagePlan(
    attempt="run/train/1",
    report_uri="s3://b/r/.penstock/report.json",
    closed_uri="s3://b/r/.penstock/closed.json",
    output_root="s3://b/r",
    shared="/penstock",
    outputs="/penstock/outputs",
    output_file="/penstock/outputs/output_metadata.json",
    grace_s=30.0,
)
FULL = SMALL._replace(
    folders=("/penstock/inputs", "/penstock/outputs"),
    fetches=(Fetch("s3://b/in", "/penstock/inputs/data.0", "sha256:0"), Fetch("s3://b/$(HOME)$$", "/penstock/x")),
    downloads=(Fetch("s3://b/big", "/kfp-workspace/.artifacts/s3/b/big"),),
    inputs={"data": ("/penstock/inputs/data.0", "gs://elsewhere/x")},
    parameters={"accuracy": "/penstock/parameters/accuracy"},
    artifacts={"model": OutputArtifact("/penstock/outputs/model", "s3://b/r/model", is_list=True)},
    workspace="/kfp-workspace",
)
LONG = FULL._replace(fetches=tuple(Fetch(f"s3://b/{i}", f"/penstock/inputs/data.{i}") for i in range(1000)))


@pytest.mark.parametrize("plan", [SMALL, FULL, LONG], ids=["small", "full", "long"])
def test_a_plan_is_read_as_it_was_written(plan: StagePlan) -> None:
    assert StagePlan.from_json(plan.to_json()) == plan
    variable = plan.to_variable()
    assert variable is not None
    assert StagePlan.from_variable(variable) == plan


def test_kubernetes_finds_no_reference_in_a_plan() -> None:
    for plan in (FULL, LONG):
        assert "$" not in (plan.to_variable() or "")
    assert StoreOptions.from_text(StoreOptions(endpoint="http://$(X)").to_text()) == StoreOptions("http://$(X)")
    assert "$" not in StoreOptions(endpoint="http://$(X)").to_text()


def test_a_short_plan_can_be_read_by_people_and_a_long_one_is_packed() -> None:
    short, long = FULL.to_variable(), LONG.to_variable()
    assert json.loads(short or "")["attempt"] == "run/train/1"
    assert len(LONG.to_json()) > READABLE_BYTES_MAX
    assert len(long or "") < len(LONG.to_json()) / 4


def test_a_plan_that_no_variable_holds_is_told() -> None:
    fetches = tuple(Fetch(f"s3://b/{i * 2654435761 % 2**32:x}{i**3:x}", f"/penstock/inputs/{i}") for i in range(20_000))
    assert FULL._replace(fetches=fetches).to_variable() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("!", "cannot be read"),
        ("eJw=", "cannot be read"),
        ("{}", f"version None and this agent reads version {VERSION}"),
        ('{"version": 99}', "image of the stage containers"),
        ('{"version": 1}', "missing"),
        ('{"version": 1, "unheard": 1}', "unheard"),
        ('{"version": 1, "fetches": [[]]}', "cannot be read"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        StagePlan.from_variable(text)


def test_store_options_are_read_as_they_were_written() -> None:
    options = StoreOptions("http://127.0.0.1:9000", "eu-1", allow_http=True, root="s3://b/x")
    assert StoreOptions.from_text(options.to_text()) == options
    assert StoreOptions.from_text("") == StoreOptions()
    with pytest.raises(PlanError, match="PENSTOCK_STORE"):
        StoreOptions.from_text('{"secret": 1}')
