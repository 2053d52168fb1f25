"""Stories of `kfp`: commands that need no server, on what this one then takes."""

from pathlib import Path

from tests.compat.clients.command_line import CommandLine
from tests.compat.clients.run_commands import ended
from tests.compat.clients.telling import Story, equal

PIPELINE = """
from kfp import dsl

@dsl.container_component
def say(text: str):
    return dsl.ContainerSpec(image="busybox", command=["echo"], args=[text])

@dsl.pipeline(name="from-a-file")
def first(text: str):
    say(text=text)
"""
COMPONENT = """
from kfp import dsl

@dsl.component(base_image="python:3.11", target_image="example.com/add:1")
def add(a: int, b: int) -> int:
    return a + b
"""


def a_compiled_file_is_taken(line: CommandLine, folder: Path) -> None:
    source, package = folder / "from_a_file.py", folder / "from_a_file.yaml"
    source.write_text(PIPELINE)
    line.text(
        *("dsl", "compile", "--py", str(source), "--output", str(package), "--function", "first"),
        *("--pipeline-parameters", '{"text": "by default"}'),
    )
    made = line.told("run", "create", "-e", "Files", "-f", str(package))
    equal(made["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]["text"]["defaultValue"], "by default")
    equal(ended(line, made["run_id"]), "SUCCEEDED")


def a_component_is_prepared_for_its_image(line: CommandLine, folder: Path) -> None:
    (folder / "add.py").write_text(COMPONENT)
    line.text("component", "build", str(folder), "--no-build-image")
    assert {"Dockerfile", "kfp_config.ini"} <= {path.name for path in folder.iterdir()}


STORIES: tuple[Story, ...] = (a_compiled_file_is_taken, a_component_is_prepared_for_its_image)
