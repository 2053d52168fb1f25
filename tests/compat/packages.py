"""Packages as people upload them, good and bad."""

import gzip
import io
import json
import tarfile
import zipfile
from typing import Any

from tests.pipelines import dag

PLATFORM: dict[str, Any] = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-comp-step": {}}}}}}


def ir(name: str = "hello-world") -> dict[str, Any]:
    """A pipeline of one step."""
    return {**dag({"hello": ()}, "true"), "pipelineInfo": {"name": name}}


def text(name: str = "hello-world") -> bytes:
    """A package that is a plain file."""
    return json.dumps(ir(name)).encode()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A `.tar.gz` with files, and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def gzip_bomb(size_bytes: int) -> bytes:
    """A `.tar.gz` with one file of zeros, a thousandth of its size."""
    header = tarfile.TarInfo("pipeline.yaml")
    header.size = size_bytes
    return gzip.compress(header.tobuf() + bytes(size_bytes), 9)


def form(
    content: bytes,
    file_name: str = "pipeline.yaml",
    *,
    field: str = "uploadfile",
    boundary: str = "b" * 24,
) -> tuple[bytes, dict[str, str]]:
    """A form with a file, and its headers."""
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="{file_name}"'
    head = f"--{boundary}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}
