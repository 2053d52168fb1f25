"""What stands around the rpcs: probes, drain, origins and hosts."""

import pytest

from penstock.v1 import run_service_pb2
from penstock_server.gateway.app import GatewaySettings
from tests.gateway.conftest import Script, Site, read

RUN = "/v1/namespaces/default/runs/r1"
CONNECT = "/penstock.v1.RunService/GetRun"
OTHER = {"origin": "https://elsewhere.example"}


@pytest.fixture
def script(script: Script) -> Script:
    script.answers["get_run"] = run_service_pb2.GetRunResponse()
    script.answers["cancel_run"] = run_service_pb2.CancelRunResponse()
    return script


async def test_a_server_is_alive_and_ready(site: Site) -> None:
    assert read(await site.ask("GET", "/healthz")) == {"status": "alive"}
    ready = await site.ask("GET", "/readyz")
    assert (ready.status, read(ready)) == (200, {"status": "ready"})


async def test_a_server_that_is_not_ready_says_why_and_is_alive(site: Site) -> None:
    site.not_ready.append("the database does not answer")
    response = await site.ask("GET", "/readyz")
    assert (response.status, read(response)["reasons"]) == (503, ["the database does not answer"])
    assert (await site.ask("GET", "/healthz")).status == 200


async def test_metrics_come_in_the_form_asked_for(site: Site) -> None:
    response = await site.ask("GET", "/metrics", headers={"accept": "text/x"})
    assert (bytes(response.content), response.headers["content-type"]) == (b"# text/x\n", "text/plain")


@pytest.mark.parametrize("path", [RUN, CONNECT])
async def test_a_draining_server_refuses_calls_and_answers_probes(site: Site, path: str) -> None:
    site.gateway.draining = True
    response = await site.ask("GET", path)
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    assert (await site.ask("GET", "/healthz")).status == 200


@pytest.mark.parametrize("path", [RUN, CONNECT, "/metrics"])
async def test_a_page_of_another_origin_is_refused(site: Site, path: str) -> None:
    response = await site.ask("GET", path, headers=OTHER)
    assert (response.status, read(response)["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("body", [None, b"{}"])
async def test_a_page_of_another_origin_changes_nothing(site: Site, script: Script, body: bytes | None) -> None:
    headers = {**OTHER, "content-type": "text/plain"}
    assert (await site.ask("POST", f"{RUN}:cancel", body, headers)).status == 403
    assert script.requests == []


async def test_the_server_s_own_pages_are_served(site: Site) -> None:
    assert (await site.ask("GET", RUN, headers={"origin": site.url})).status == 200


async def test_a_broken_origin_is_refused(site: Site) -> None:
    assert (await site.ask("GET", RUN, headers={"origin": "null"})).status == 403


class TestAllowed:
    """With settings that allow more or less."""

    @pytest.fixture
    def settings(self) -> GatewaySettings:
        return GatewaySettings(allowed_origins=("https://elsewhere.example",), allowed_hosts=("penstock.example",))

    async def test_an_allowed_origin_is_served_and_told_so(self, site: Site) -> None:
        response = await site.ask("GET", RUN, headers=OTHER)
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == OTHER["origin"]

    async def test_a_preflight_names_what_is_allowed(self, site: Site) -> None:
        headers = {**OTHER, "access-control-request-method": "PATCH"}
        headers["access-control-request-headers"] = "content-type,connect-protocol-version"
        response = await site.ask("OPTIONS", RUN, headers=headers)
        assert response.status == 200
        assert "PATCH" in response.headers["access-control-allow-methods"]

    async def test_another_origin_is_refused_still(self, site: Site) -> None:
        assert (await site.ask("GET", RUN, headers={"origin": "https://x.example"})).status == 403

    @pytest.mark.parametrize("host", ["penstock.example", "penstock.example:80", "localhost:1", "[::1]:80"])
    async def test_known_hosts_and_addresses_are_answered(self, site: Site, host: str) -> None:
        assert (await site.ask("GET", RUN, headers={"host": host})).status == 200

    @pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.rebound.example", "[x"])
    async def test_other_hosts_are_refused(self, site: Site, host: str) -> None:
        assert (await site.ask("GET", RUN, headers={"host": host})).status == 403
