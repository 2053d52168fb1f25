"""The messages of KFP's contract, held against the models of the client that KFP publishes."""

from random import Random
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc.status_pb2 import Status

from tests.compat import samples
from tests.compat.conftest import Ask
from tests.compat.contract import V2BETA1, enums, messages, methods, rule
from tests.compat.differences import MESSAGES_OF_OURS, MODELS_APART
from tests.compat.vocabulary import model_name, published_type

pytestmark = pytest.mark.slow

ECHOES = 30
"""Messages of each kind that go through the published client."""
WHOLE_BODIES = {method.input_type.name for method in methods(V2BETA1) if rule(method).body == "*"}


def is_model(name: str) -> bool:
    """Whether the published client has a model for a message; for requests it has one where they are the whole body."""
    return name not in MESSAGES_OF_OURS and (not name.endswith("Request") or name in WHOLE_BODIES)


MESSAGES = {
    **{name: message for name, message in messages(V2BETA1).items() if is_model(name)},
    "google.rpc.Status": Status.DESCRIPTOR,
}
ENUMS = enums(V2BETA1)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=list(MESSAGES))
def test_a_model_has_the_fields_of_its_message_by_the_names_of_the_schema(message: Descriptor, published: Any) -> None:
    fields = {field.name: published_type(field) for field in message.fields}
    assert published["models"][model_name(message)] == {"fields": fields}


@pytest.mark.parametrize("enum", ENUMS.values(), ids=list(ENUMS))
def test_an_enum_has_the_values_of_the_schema(enum: EnumDescriptor, published: Any) -> None:
    values = [value.name for value in enum.values]
    assert published["models"][model_name(enum)] == {"values": values}


def test_every_model_is_in_the_schema(published: Any) -> None:
    ours = {model_name(kind) for kind in (*MESSAGES.values(), *ENUMS.values())}
    assert ours | MODELS_APART.keys() == published["models"].keys()
    assert not ours & MODELS_APART.keys()


def test_messages_survive_the_way_through_the_published_client(ask: Ask) -> None:
    kinds = [message for message in MESSAGES.values() for _ in range(ECHOES)]
    sent = [samples.message(kind, Random(seed)) for seed, kind in enumerate(kinds)]
    documents = [MessageToDict(message, preserving_proto_field_name=True) for message in sent]
    names = [model_name(kind) for kind in kinds]
    written = ask({"ask": "echo", "documents": list(zip(names, documents, strict=True))})
    received = [ParseDict(document, type(message)()) for document, message in zip(written, sent, strict=True)]
    assert received == sent
