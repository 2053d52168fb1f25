"""NamespaceService."""

from penstock.v1 import experiment_service_pb2, namespace_pb2
from penstock.v1 import namespace_service_pb2 as pb
from tests import factories
from tests.api.calls import reason, refusal
from tests.api.conftest import Api


async def create(api: Api, id: str = "team", **fields: object) -> namespace_pb2.Namespace:
    namespace = namespace_pb2.Namespace(**fields)  # type: ignore[arg-type]  # any fields
    response = await api.namespaces.CreateNamespace(pb.CreateNamespaceRequest(namespace_id=id, namespace=namespace))
    return response.namespace


async def test_a_namespace_is_made_with_its_default_experiment(api: Api) -> None:
    made = await create(api, description="ours", labels={"a": "b"})
    assert (made.name, made.display_name, made.description) == ("namespaces/team", "team", "ours")
    assert made.uid
    assert made.etag
    assert made.create_time == made.update_time
    got = await api.namespaces.GetNamespace(pb.GetNamespaceRequest(name=made.name))
    assert got.namespace == made
    request = experiment_service_pb2.GetExperimentRequest(name="namespaces/team/experiments/default")
    assert (await api.experiments.GetExperiment(request)).experiment.display_name == "Default"


async def test_a_namespace_is_not_made_twice(api: Api) -> None:
    await create(api)
    assert await reason(create(api)) == "NAMESPACE_EXISTS"


async def test_a_bad_id_is_refused_naming_the_field(api: Api) -> None:
    refused = await refusal(create(api, "Team!"))
    assert (refused.reason, refused.fields) == ("INVALID_REQUEST", ["namespace_id"])


async def test_a_missing_namespace_is_not_found(api: Api) -> None:
    request = pb.GetNamespaceRequest(name="namespaces/nowhere")
    assert await reason(api.namespaces.GetNamespace(request)) == "NAMESPACE_NOT_FOUND"


async def test_namespaces_are_listed_by_name_and_filtered(api: Api) -> None:
    await create(api, "b", labels={"kind": "x"})
    await create(api, "a", labels={"kind": "y"})
    everything = await api.namespaces.ListNamespaces(pb.ListNamespacesRequest())
    assert [item.name for item in everything.namespaces] == [
        "namespaces/a",
        "namespaces/b",
        "namespaces/default",
    ]
    some = await api.namespaces.ListNamespaces(pb.ListNamespacesRequest(filter="labels.kind = x"))
    assert [item.name for item in some.namespaces] == ["namespaces/b"]


async def test_an_update_changes_what_its_mask_names(api: Api) -> None:
    made = await create(api, description="old", labels={"a": "b"})
    changed = namespace_pb2.Namespace(name=made.name, description="new", labels={"c": "d"}, etag=made.etag)
    request = pb.UpdateNamespaceRequest(namespace=changed)
    request.update_mask.paths.append("description")
    updated = (await api.namespaces.UpdateNamespace(request)).namespace
    assert (updated.description, dict(updated.labels)) == ("new", {"a": "b"})
    assert updated.etag != made.etag
    assert await reason(api.namespaces.UpdateNamespace(request)) == "ETAG_MISMATCH"


async def test_an_empty_namespace_is_deleted(api: Api) -> None:
    made = await create(api)
    stale = pb.DeleteNamespaceRequest(name=made.name, etag="stale")
    assert await reason(api.namespaces.DeleteNamespace(stale)) == "ETAG_MISMATCH"
    request = pb.DeleteNamespaceRequest(name=made.name, etag=made.etag)
    await api.namespaces.DeleteNamespace(request)
    assert await reason(api.namespaces.DeleteNamespace(request)) == "NAMESPACE_NOT_FOUND"


async def test_the_default_namespace_and_one_with_runs_stay(api: Api) -> None:
    request = pb.DeleteNamespaceRequest(name="namespaces/default")
    assert await reason(api.namespaces.DeleteNamespace(request)) == "DEFAULT_NAMESPACE"
    made = await create(api)
    await factories.insert_run(api.database, namespace="team")
    request = pb.DeleteNamespaceRequest(name=made.name)
    assert await reason(api.namespaces.DeleteNamespace(request)) == "NAMESPACE_NOT_EMPTY"
