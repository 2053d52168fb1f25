"""Generates the code made from `proto/`: messages, stubs and their types in `clients/python`.

The generated modules do not import `buf.validate`: the rules stay in the options as bytes, which is where
`protovalidate` reads them, so that the client's wheel needs no module of that name. KFP's contract keeps the file
names that its clients know, `backend/api/v2beta1/run.proto`; its modules are renamed to stand in our package, so that
the wheel brings no module `backend` along.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from protos import ROOT, gather

BIN = Path(sys.executable).parent
PYTHON_CLIENT = ROOT / "clients" / "python"
MESSAGE_PLUGINS = ("python", "mypy")
SERVICE_PLUGINS = ("grpc_python", "mypy_grpc")
RULES = "buf/validate/validate.proto"


@dataclass(frozen=True, slots=True)
class Part:
    """The files of one folder of the schemas, and the Python package that is made from them."""

    folder: str
    """As imports in the schemas name it."""
    package: str
    """The package's name."""
    doc: str
    """The package's docstring."""

    @property
    def path(self) -> Path:
        """Folder of the package, below that of the distribution."""
        return Path(*self.package.split("."))


PARTS = (
    Part(
        "penstock/v1",
        "penstock.v1",
        "The messages and stubs of the `penstock.v1` API, generated from `proto/penstock/v1`.",
    ),
    Part(
        "backend/api/v2beta1",
        "penstock.kfp.v2beta1",
        "The messages and stubs of KFP's v2beta1 API, generated from `proto/kubeflow/pipelines/backend/api/v2beta1`.",
    ),
    Part(
        "backend/api/v1beta1",
        "penstock.kfp.v1beta1",
        "What is left of KFP's v1beta1 API, generated from `proto/kubeflow/pipelines/backend/api/v1beta1`.",
    ),
)


def main() -> int:
    """Replace the committed generated code."""
    gather()
    for part in PARTS:
        for stale in generated_files(PYTHON_CLIENT / part.path):
            stale.unlink()
    generate(PYTHON_CLIENT)
    for part in PARTS:
        target = PYTHON_CLIENT / part.path
        print(f"{target.relative_to(ROOT)}: {len(generated_files(target))} files")
    return 0


def generated_files(folder: Path) -> list[Path]:
    """The files that `generate` writes into the folder of a package."""
    return sorted([*folder.glob("*.py"), *folder.glob("*.pyi")])


def generate(target: Path) -> None:
    """Write the packages of all parts below `target`; the third-party protos must have been gathered."""
    with tempfile.TemporaryDirectory() as folder:
        path, compiled = Path(folder) / "image.binpb", Path(folder) / "compiled"
        image = without_rules_import(build_image(path))
        path.write_bytes(image.SerializeToString())
        compiled.mkdir()
        for part in PARTS:
            compile_python(path, [file for file in image.file if is_of(file, part)], compiled)
            move(compiled, part, target)


def is_of(file: FileDescriptorProto, part: Part) -> bool:
    """Whether `file` lies in the folder of `part`."""
    return file.name.rpartition("/")[0] == part.folder


def move(compiled: Path, part: Part, target: Path) -> None:
    """Make the package of `part` below `target` out of what protoc wrote."""
    package = target / part.path
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(f'"""{part.doc}"""\n')
    for path in generated_files(compiled / part.folder):
        (package / path.name).write_text(renamed(path.read_text()))


def renamed(code: str) -> str:
    """Generated code with the modules of all parts called by the names of their packages.

    protoc derives a module's name from that of its file; it stands in imports and as the module of the classes.
    The names of the schemas' own packages stay, since those are what goes over the wire.
    """
    for part in PARTS:
        module = re.escape(part.folder.replace("/", "."))
        code = re.sub(rf"(?<![.\w]){module}\b", part.package, code)
    return code


def build_image(path: Path) -> FileDescriptorSet:
    """The schemas with all that they import, as Buf builds them."""
    run([BIN / "buf", "build", "proto", "--as-file-descriptor-set", "--output", path])
    return FileDescriptorSet.FromString(path.read_bytes())


def without_rules_import(image: FileDescriptorSet) -> FileDescriptorSet:
    """`image` with the import of the field rules taken out of our files; the rules stay in the options."""
    for file in image.file:
        if file.package.startswith("penstock."):
            drop_import(file, RULES)
    return image


def drop_import(file: FileDescriptorProto, name: str) -> None:
    """Take one import out of `file`, which must have no public or weak imports: those count by position."""
    if file.public_dependency or file.weak_dependency:
        raise ValueError(f"{file.name} has public or weak imports")
    kept = [dependency for dependency in file.dependency if dependency != name]
    del file.dependency[:]
    file.dependency.extend(kept)


def compile_python(image: Path, files: Iterable[FileDescriptorProto], target: Path) -> None:
    """Write messages and their types for `files` of the image, stubs and their types for those with services."""
    services = {file.name: bool(file.service) for file in files}
    protoc(image, target, MESSAGE_PLUGINS, services)
    protoc(image, target, SERVICE_PLUGINS, [name for name, any_service in services.items() if any_service])


def protoc(image: Path, target: Path, plugins: Iterable[str], files: Iterable[str]) -> None:
    """Run protoc with some plugins over some files of `image`."""
    found = [f"--plugin=protoc-gen-{name}={BIN / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    outputs = [f"--{plugin}_out={target}" for plugin in plugins]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={image}"]
    run([*command, *found, *outputs, *files])


def run(command: Iterable[str | Path]) -> None:
    """Run one command in the repository; its output is shown only when it fails."""
    result = subprocess.run([*command], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.stderr.write(result.stdout + result.stderr)
        raise SystemExit(result.returncode)


if __name__ == "__main__":
    raise SystemExit(main())
