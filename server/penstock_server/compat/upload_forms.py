"""Forms with a file (`multipart/form-data`), read as they arrive and never further than allowed."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from penstock_server.model.errors import InvalidArgument, ResourceExhausted
from penstock_server.rpc.plain import PlainRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "uploadfile"
OVERHEAD_BYTES_MAX = 64 * 1024
"""Of all that is in the form beside the file."""
HEADER_BYTES_MAX = 8 * 1024
"""Of the headers of a part."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file as it was sent."""

    name: str
    content: bytes


async def read_file(request: PlainRequest, bytes_max: int) -> UploadedFile:
    """The file that the form holds under `uploadfile`.

    Raises InvalidArgument INVALID_UPLOAD for what is no such form, and ResourceExhausted REQUEST_TOO_LARGE.
    """
    kind, options = parse_options_header(request.content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise _wrong("has to be sent as multipart/form-data")
    form = _Form(bytes_max)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        received = 0
        async for chunk in request.body:
            received += len(chunk)
            if received > bytes_max + OVERHEAD_BYTES_MAX:
                raise _too_large(bytes_max)
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise _wrong(f"cannot be read: {error}") from error
    return form.file()


@dataclass(slots=True)
class _Form:
    """Collects the file while the parser goes through the form."""

    bytes_max: int
    content: bytearray = field(default_factory=bytearray)
    name: str | None = None
    """Of the file, once its part has begun."""
    ended: bool = False
    """The form's last boundary was seen."""
    _inside: bool = False
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""

    def callbacks(self) -> "MultipartCallbacks":
        """What the parser calls."""
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": lambda data, start, end: self._gather(self._header, data[start:end]),
            "on_header_value": lambda data, start, end: self._gather(self._value, data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def file(self) -> UploadedFile:
        """The file. Raises InvalidArgument when there is none, or the form is cut off."""
        if self.name is None or not self.ended:
            raise _wrong(f"has to hold one whole file under the name {FIELD}")
        return UploadedFile(self.name, bytes(self.content))

    def _part_begin(self) -> None:
        self._disposition = b""

    def _gather(self, into: bytearray, data: bytes) -> None:
        into += data
        if len(into) > HEADER_BYTES_MAX:
            raise _wrong("has a part with headers that are too long")

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _kind, options = parse_options_header(self._disposition)
        self._inside = options.get(b"name") == FIELD.encode()
        if self._inside:
            if self.name is not None:
                raise _wrong(f"holds more than one {FIELD}")
            self.name = options.get(b"filename", b"").decode(errors="replace")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self.content += data[start:end]
            if len(self.content) > self.bytes_max:
                raise _too_large(self.bytes_max)

    def _part_end(self) -> None:
        self._inside = False

    def _end(self) -> None:
        self.ended = True


def _wrong(description: str) -> InvalidArgument:
    return InvalidArgument("INVALID_UPLOAD", f"the form {description}")


def _too_large(bytes_max: int) -> ResourceExhausted:
    return ResourceExhausted("REQUEST_TOO_LARGE", f"a file may have at most {bytes_max} bytes")
