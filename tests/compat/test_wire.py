"""The schema of KFP's contract is the contract: names, numbers, types, and messages that survive the way."""

import importlib
import json
import pickle
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import yaml
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compat import samples
from tests.compat.contract import (
    V1BETA1,
    V2BETA1,
    enums,
    messages,
    methods,
    rule,
    services,
    short_name,
    type_name,
    verb_and_path,
)

WIRE = yaml.safe_load((Path(__file__).parent / "wire.yaml").read_text())
PACKAGES = pytest.mark.parametrize(("version", "files"), [("v2beta1", V2BETA1), ("v1beta1", V1BETA1)])
EVERY_MESSAGE = [*messages(V2BETA1).values(), *messages(V1BETA1).values()]
EVERY_METHOD = [*methods(V2BETA1), *methods(V1BETA1)]
each_message = pytest.mark.parametrize("descriptor", EVERY_MESSAGE, ids=lambda d: d.full_name)


@PACKAGES
def test_every_file_has_the_name_and_the_package_that_clients_know(
    version: str, files: tuple[FileDescriptor, ...]
) -> None:
    for file in files:
        assert file.name.rpartition("/")[0] == f"backend/api/{version}"
        assert file.package == WIRE[version]["package"]


@PACKAGES
def test_methods_are_those_of_the_contract(version: str, files: tuple[FileDescriptor, ...]) -> None:
    declared = {
        service.name: {method.name: signature(method) for method in service.methods} for service in services(files)
    }
    assert declared == WIRE[version]["methods"]
    assert not [method.full_name for method in methods(files) if method.client_streaming or method.server_streaming]


def signature(method: MethodDescriptor) -> str:
    """Such as `GetRunRequest -> Run`."""
    return f"{short_name(method.input_type)} -> {short_name(method.output_type)}"


@PACKAGES
def test_enums_are_those_of_the_contract(version: str, files: tuple[FileDescriptor, ...]) -> None:
    declared = {name: {value.name: value.number for value in enum.values} for name, enum in enums(files).items()}
    assert declared == WIRE[version]["enums"]


@PACKAGES
def test_fields_are_those_of_the_contract(version: str, files: tuple[FileDescriptor, ...]) -> None:
    assert {name: fields(message) for name, message in messages(files).items()} == WIRE[version]["messages"]


def fields(message: Descriptor) -> dict[str, str]:
    """Number, type and group of each field, as `wire.yaml` has them."""
    return {
        field.name: f"{field.number} {type_name(field)}"
        + (f" in {field.containing_oneof.name}" if field.containing_oneof else "")
        for field in message.fields
    }


@each_message
@settings(max_examples=20)
@given(random=st.randoms(use_true_random=False))
def test_a_message_survives_the_wire(descriptor: Descriptor, random: Random) -> None:
    message = samples.message(descriptor, random)
    assert type(message).FromString(message.SerializeToString()) == message


@each_message
@settings(max_examples=20)
@given(random=st.randoms(use_true_random=False), as_in_schema=st.booleans())
def test_a_message_survives_json_in_either_spelling(descriptor: Descriptor, random: Random, as_in_schema: bool) -> None:
    message = samples.message(descriptor, random)
    text = json.dumps(MessageToDict(message, preserving_proto_field_name=as_in_schema))
    assert ParseDict(json.loads(text), type(message)()) == message


@each_message
def test_a_message_can_be_pickled(descriptor: Descriptor) -> None:
    message = samples.message(descriptor, Random(1))
    assert pickle.loads(pickle.dumps(message)) == message


def test_no_two_methods_are_bound_to_one_verb_and_path() -> None:
    bound = [verb_and_path(binding) for m in EVERY_METHOD for binding in (rule(m), *rule(m).additional_bindings)]
    assert len(bound) == len(set(bound))


def test_every_method_is_bound_to_a_path_of_its_version_and_else_to_older_ones() -> None:
    for method in methods(V2BETA1):
        assert verb_and_path(rule(method))[1].startswith("/apis/v2beta1/")
        for binding in rule(method).additional_bindings:
            assert verb_and_path(binding)[1].startswith("/apis/v1beta1/")
    for method in methods(V1BETA1):
        assert verb_and_path(rule(method))[1].startswith("/apis/v1beta1/")


def test_methods_that_read_say_so() -> None:
    for method in EVERY_METHOD:
        reads = verb_and_path(rule(method))[0] == "GET"
        assert (method.GetOptions().idempotency_level == method.GetOptions().NO_SIDE_EFFECTS) == reads


def test_a_client_of_penstock_loads_nothing_of_kfp() -> None:
    program = (
        "import sys, penstock, penstock.aio, penstock.cli.__main__;"
        " print([name for name in sys.modules if name.split('.')[:2] == ['penstock', 'kfp']])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_stubs_are_there_for_every_service_and_no_module_is_named_as_files_are() -> None:
    for service in (*services(V2BETA1), *services(V1BETA1)):
        module = service.file.name.removesuffix(".proto").replace("backend/api", "penstock/kfp").replace("/", ".")
        assert hasattr(importlib.import_module(f"{module}_pb2_grpc"), f"{service.name}Stub")
    assert "backend" not in sys.modules
