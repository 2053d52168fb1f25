"""Resource names: `namespaces/{namespace}/runs/{run}` and its kin, read and written."""

import re
from dataclasses import dataclass

from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.ids import RESOURCE_ID

_VARIABLE = re.compile(r"\{(\w+)\}")
_TASK = re.compile(r"[^/\0]{1,1000}\Z")
_VERSION = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}\Z")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}\Z")
_SEGMENTS = {"task": _TASK, "version": _VERSION, "attempt": _NUMBER, "event": _NUMBER}


@dataclass(frozen=True, slots=True)
class NamePattern:
    """The names of one kind of resource."""

    pattern: str
    """With variables in braces, as in the schema's `google.api.resource`."""

    def parse(self, value: str, field: str = "name") -> tuple[str, ...]:
        """The ids in `value`, in order.

        Raises InvalidArgument INVALID_NAME naming the `field` of the request that holds it.
        """
        expected, given = self.pattern.split("/"), value.split("/")
        if len(expected) != len(given):
            raise self._wrong(value, field)
        ids = []
        for want, have in zip(expected, given, strict=True):
            variable = _VARIABLE.fullmatch(want)
            if variable is None:
                if want != have:
                    raise self._wrong(value, field)
            elif not _SEGMENTS.get(variable[1], RESOURCE_ID).match(have):
                raise self._wrong(value, field)
            else:
                ids.append(have)
        return tuple(ids)

    def format(self, *ids: object) -> str:
        """The name of the resource with these ids."""
        given = iter(ids)
        return _VARIABLE.sub(lambda _: str(next(given)), self.pattern)

    def _wrong(self, value: str, field: str) -> InvalidArgument:
        description = f"must look like {self.pattern}, not '{value[:100]}'"
        violation = FieldViolation(field, description)
        return InvalidArgument("INVALID_NAME", f"{field} {description}", violations=[violation])


NAMESPACE = NamePattern("namespaces/{namespace}")
EXPERIMENT = NamePattern("namespaces/{namespace}/experiments/{experiment}")
PIPELINE = NamePattern("namespaces/{namespace}/pipelines/{pipeline}")
PIPELINE_VERSION = NamePattern("namespaces/{namespace}/pipelines/{pipeline}/versions/{version}")
RUN = NamePattern("namespaces/{namespace}/runs/{run}")
TASK = NamePattern("namespaces/{namespace}/runs/{run}/tasks/{task}")
ATTEMPT = NamePattern("namespaces/{namespace}/runs/{run}/tasks/{task}/attempts/{attempt}")
EVENT = NamePattern("namespaces/{namespace}/runs/{run}/events/{event}")
JOB = NamePattern("namespaces/{namespace}/jobs/{job}")
BACKFILL = NamePattern("namespaces/{namespace}/jobs/{job}/backfills/{backfill}")
ARTIFACT = NamePattern("namespaces/{namespace}/artifacts/{artifact}")
