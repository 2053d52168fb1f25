"""Resource names, ids made up, etags and masks."""

import uuid

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from penstock.v1 import experiment_pb2
from penstock_server.api import names
from penstock_server.api.etags import check_etag, etag
from penstock_server.api.masks import Edit, edit_of
from penstock_server.engine.new_ids import NewIds
from penstock_server.model.errors import Conflict, InvalidArgument
from penstock_server.model.ids import RESOURCE_ID

UID = uuid.UUID(int=1)
EXPERIMENT = experiment_pb2.Experiment(name="ignored", description="new", labels={"team": "vision"})


def test_a_name_is_read_and_written() -> None:
    name = names.TASK.format("default", "run-1", "outer.train")
    assert name == "namespaces/default/runs/run-1/tasks/outer.train"
    assert names.TASK.parse(name) == ("default", "run-1", "outer.train")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "run-1",
        "runs/run-1",
        "namespaces/default",
        "namespaces/default/runs/",
        "namespaces//runs/run-1",
        "namespaces/default/runs/Run",
        "namespaces/default/runs/-",
        "namespaces/default/experiments/run-1",
        "namespaces/default/runs/run-1/",
        "namespaces/default/runs/run-1\n",
        "namespaces/a/runs/" + "r" * 64,
    ],
)
def test_a_name_of_the_wrong_form_is_refused_naming_the_field(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"namespaces/\{namespace\}/runs/\{run\}") as raised:
        names.RUN.parse(name, "parent")
    assert raised.value.violations[0].field == "parent"


@given(st.lists(st.text(max_size=80), max_size=3))
def test_an_id_made_up_is_a_good_one(hints: list[str]) -> None:
    assert RESOURCE_ID.match(NewIds().resource_id(*hints, default="run"))


def test_an_id_made_up_says_what_it_is_for() -> None:
    ids = NewIds(lambda count: bytes(range(count)))
    assert ids.resource_id("", "2. Train & Test!", default="run") == "train-test-abcdefgh"
    assert ids.resource_id("123", default="run") == "run-abcdefgh"


def test_an_etag_stands_for_one_revision_of_one_resource() -> None:
    assert etag(UID, 1) == etag(UID, 1)
    assert len({etag(UID, 1), etag(UID, 2), etag(uuid.UUID(int=2), 1)}) == 3


def test_another_etag_is_refused_and_none_is_fine() -> None:
    check_etag("", UID, 1)
    check_etag(etag(UID, 1), UID, 1)
    with pytest.raises(Conflict, match="ETAG_MISMATCH"):
        check_etag(etag(UID, 1), UID, 2)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], Edit(None, "new", {"team": "vision"})),
        (["*"], Edit("id", "new", {"team": "vision"})),
        (["display_name"], Edit("id", None, None)),
        (["description", "labels"], Edit(None, "new", {"team": "vision"})),
    ],
)
def test_what_an_update_writes(paths: list[str], expected: Edit) -> None:
    assert edit_of(EXPERIMENT, FieldMask(paths=paths), "id") == expected


@pytest.mark.parametrize("path", ["name", "uid", "create_time", "labels.team", "nothing", "", "*,labels"])
def test_a_mask_with_what_cannot_be_changed_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="display_name, description, labels"):
        edit_of(EXPERIMENT, FieldMask(paths=["labels", path]), "id")


def test_a_star_stands_alone() -> None:
    with pytest.raises(InvalidArgument, match="alone"):
        edit_of(EXPERIMENT, FieldMask(paths=["*", "labels"]), "id")
