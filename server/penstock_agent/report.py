"""What a step has made, told by the agent in its pod: as an object in the store, and in the termination message
where that is long enough.

The report carries the texts as the step wrote them. What they mean, and whether they will do, is the server's to say.
"""

import binascii
import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hashlib import _Hash

MESSAGE_BYTES_MAX = 4096
"""What Kubernetes keeps of the termination message of a container; of all in a pod it keeps 12 KiB."""
_INLINE = "penstock report: "
_ELSEWHERE = "penstock report at "


class ReportError(Exception):
    """The report cannot be read; the message says why."""


class StoredContent(NamedTuple):
    """Content that was stored."""

    digest: str
    """`sha256:` and 64 hex digits; of a folder, over the sorted names, sizes and digests of its files."""
    size_bytes: int


class StepReport(NamedTuple):
    """What became of the outputs of one attempt."""

    attempt: str
    executor_output: str | None = None
    """The text of the executor's output file; None: not written."""
    parameters: Mapping[str, str] = {}
    """The texts of those output parameters whose files were written."""
    stored: Mapping[str, StoredContent] = {}
    """The content of artifacts, by the URI it was stored at."""
    faults: tuple[str, ...] = ()
    """What is wrong with what the step has left, as sentences: such outputs are neither read nor stored."""

    def to_json(self) -> bytes:
        """As UTF-8."""
        document = {key: value for key, value in self._asdict().items() if value not in (None, {}, ())}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "StepReport":
        """Raises ReportError."""
        try:
            document: dict[str, Any] = json.loads(content)
            stored = {uri: StoredContent(*item) for uri, item in document.pop("stored", {}).items()}
            faults = tuple(document.pop("faults", ()))
            return cls(stored=stored, faults=faults, **document)
        except (ValueError, TypeError, AttributeError) as error:
            raise ReportError(f"the report cannot be read: {error}") from error


class ReportPlace(NamedTuple):
    """Where a report lies that was too long for the termination message."""

    uri: str
    digest: str


def sha256(content: bytes) -> str:
    """The digest of a report, or of any other content."""
    return f"sha256:{new_digest(content).hexdigest()}"


def new_digest(content: bytes = b"") -> "_Hash":
    """A SHA-256 that takes further content."""
    # Imported where it is needed: it brings OpenSSL, and most pods have no inputs to digest before their step.
    import hashlib

    return hashlib.sha256(content)


def message_of(report: bytes, place: ReportPlace) -> str:
    """The termination message that carries the report, or tells where it lies."""
    text = _INLINE + binascii.b2a_base64(zlib.compress(report, 9), newline=False).decode()
    return text if len(text) <= MESSAGE_BYTES_MAX else f"{_ELSEWHERE}{place.uri} {place.digest}"


def read_message(message: str) -> StepReport | ReportPlace | None:
    """What a termination message tells; None where it is no report's. Raises ReportError."""
    if message.startswith(_INLINE):
        try:
            content = zlib.decompress(binascii.a2b_base64(message.removeprefix(_INLINE), strict_mode=True))
        except (ValueError, zlib.error) as error:
            raise ReportError(f"the report in the termination message cannot be read: {error}") from error
        return StepReport.from_json(content)
    if message.startswith(_ELSEWHERE):
        uri, _, digest = message.removeprefix(_ELSEWHERE).rpartition(" ")
        return ReportPlace(uri, digest)
    return None
