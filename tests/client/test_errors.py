"""Failed calls as exceptions."""

import grpc
import pytest

import penstock.aio
from penstock import Client, InvalidArgumentError, PenstockError, UnavailableError, errors
from tests.client.scripted import ScriptedServer, cut, fail


@pytest.mark.parametrize("name", sorted(errors.CLASSES))
def test_each_status_code_has_its_class(server: ScriptedServer, client: Client, name: str) -> None:
    code = grpc.StatusCode[name]
    server.on("CancelRun", lambda request, context: fail(context, code, "SOME_REASON", "do this instead"))
    with pytest.raises(errors.CLASSES[name]) as raised:
        client.runs.cancel("my-run")
    assert (raised.value.code, raised.value.reason, raised.value.message) == (
        code,
        "SOME_REASON",
        "do this instead",
    )


def test_details_come_with_the_exception(server: ScriptedServer, client: Client) -> None:
    code = grpc.StatusCode.INVALID_ARGUMENT
    violations = {"run.parameters.lr": "expected a number"}
    facts = {"parameter": "lr"}
    server.on(
        "CancelRun",
        lambda request, context: fail(
            context, code, "PARAMETER_TYPE_MISMATCH", violations=violations, metadata=facts, retry_delay_s=1.5
        ),
    )
    with pytest.raises(InvalidArgumentError) as raised:
        client.runs.cancel("my-run")
    error = raised.value
    assert [(v.field, v.description, v.reason) for v in error.violations] == [
        ("run.parameters.lr", "expected a number", "INVALID_FIELD")
    ]
    assert (error.metadata, error.retry_after_s, error.is_transport) == (facts, 1.5, False)
    assert "run.parameters.lr: expected a number" in str(error)


async def test_asyncio_calls_raise_the_same(server: ScriptedServer, aio_client: penstock.aio.Client) -> None:
    code = grpc.StatusCode.ABORTED
    server.on("CancelRun", lambda request, context: fail(context, code, "ETAG_MISMATCH"))
    with pytest.raises(errors.ConflictError, match="ETAG_MISMATCH"):
        await aio_client.runs.cancel("my-run")


def test_a_lost_connection_has_no_reason(server: ScriptedServer, client: Client) -> None:
    server.on("CancelRun", lambda request, context: cut(context))
    with pytest.raises(UnavailableError) as raised:
        client.runs.cancel("my-run")
    assert raised.value.is_transport
    assert raised.value.reason == ""


def test_reasons_of_other_domains_are_not_ours(server: ScriptedServer, client: Client) -> None:
    code = grpc.StatusCode.UNAVAILABLE
    server.on("CancelRun", lambda request, context: fail(context, code, "PROXY_BUSY", domain="proxy.example"))
    with pytest.raises(UnavailableError) as raised:
        client.runs.cancel("my-run")
    assert raised.value.is_transport


def test_every_error_is_a_penstock_error() -> None:
    assert all(issubclass(kind, PenstockError) for kind in errors.CLASSES.values())
