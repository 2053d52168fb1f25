"""Generates the code made from `proto/`: messages, stubs and their types in `clients/python`.

The generated modules do not import `buf.validate`: the rules stay in the options as bytes, which is where
`protovalidate` reads them, so that the client's wheel needs no module of that name.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from protos import ROOT, SCHEMA, gather

BIN = Path(sys.executable).parent
PYTHON_CLIENT = ROOT / "clients" / "python"
PACKAGE = Path("penstock") / "v1"
MESSAGE_PLUGINS = ("python", "mypy")
SERVICE_PLUGINS = ("grpc_python", "mypy_grpc")
RULES = "buf/validate/validate.proto"
PACKAGE_DOC = '"""The messages and stubs of the `penstock.v1` API, generated from `proto/penstock/v1`."""\n'


def main() -> int:
    """Replace the committed generated code."""
    gather()
    target = PYTHON_CLIENT / PACKAGE
    for stale in generated_files(target):
        stale.unlink()
    generate(PYTHON_CLIENT)
    print(f"{target.relative_to(ROOT)}: {len(generated_files(target))} files")
    return 0


def generated_files(folder: Path) -> list[Path]:
    """The files that `generate` writes into a `penstock/v1` folder."""
    return sorted([*folder.glob("*.py"), *folder.glob("*.pyi")])


def generate(target: Path) -> None:
    """Write the package `penstock.v1` below `target`; the third-party protos must have been gathered."""
    (target / PACKAGE).mkdir(parents=True, exist_ok=True)
    (target / PACKAGE / "__init__.py").write_text(PACKAGE_DOC)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        image.write_bytes(without_rules_import(build_image(image)).SerializeToString())
        compile_python(image, target)


def build_image(path: Path) -> FileDescriptorSet:
    """Our schema with all that it imports, as Buf builds it."""
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


def compile_python(image: Path, target: Path) -> None:
    """Write messages and their types for all our files, stubs and their types for those with services."""
    files = sorted(str(path.relative_to(SCHEMA)) for path in (SCHEMA / PACKAGE).glob("*.proto"))
    protoc(image, target, MESSAGE_PLUGINS, files)
    protoc(image, target, SERVICE_PLUGINS, [file for file in files if file.endswith("_service.proto")])


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
