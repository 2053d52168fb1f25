"""The run of a job, changed in parts: the API takes it as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.cli.failures import UsageError
from penstock.cli.limit_options import LimitOptions, Span
from penstock.cli.sources import declared_types, job_source
from penstock.cli.values import read_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from penstock import Client
    from penstock.v1.job_pb2 import Job
    from penstock.v1.run_pb2 import Run

NOTHING = "none"
"""As the value of an option: what was set before is lifted."""


@dataclass(frozen=True, slots=True)
class RunChanges:
    """What is given of a job's run."""

    source: str
    assignments: Sequence[str]
    """`name=value`"""
    unset: Sequence[str]
    """Parameters that take their defaults again."""
    display_name: str
    experiment: str
    limits: LimitOptions

    @property
    def is_given(self) -> bool:
        """Whether anything is to change."""
        words = (self.source, self.assignments, self.unset, self.display_name, self.experiment)
        return any(words) or self.limits != LimitOptions()

    def applied(self, client: "Client", namespace: str, job: "Job") -> "Run":
        """The run of `job`, read with its spec, after the changes. Raises UsageError, PenstockError."""
        from penstock.names import resource_name
        from penstock.v1.run_pb2 import Run

        run = Run()
        run.CopyFrom(job.run)
        run.ClearField("spec")
        self._set_parameters(client, namespace, job, run)
        self._set_limits(run)
        run.display_name = self.display_name or run.display_name
        if self.experiment:
            run.experiment = resource_name(namespace, "experiments", self.experiment)
        return run

    def _set_parameters(self, client: "Client", namespace: str, job: "Job", run: "Run") -> None:
        from penstock.run_messages import set_source
        from penstock.values import to_value

        if self.source:
            source, values = job_source(client, self.source, self.assignments)
            set_source(run, namespace, source)
        else:
            types = _types(client, job) if self.assignments else {}
            values = read_parameters(self.assignments, types, macros=True)
        for name in self.unset:
            if name not in run.parameters:
                raise UsageError(f"--unset {name}: the job does not set this parameter")
            del run.parameters[name]
        for name, value in values.items():
            run.parameters[name].CopyFrom(to_value(value, name))

    def _set_limits(self, run: "Run") -> None:
        from penstock.policies import cache_policy

        given = self.limits
        if given.cache_policy:
            run.cache_policy = cache_policy(given.cache_policy)
        if given.priority is not None:
            run.priority = given.priority
        if given.max_parallel_tasks is not None:
            run.max_parallel_tasks = given.max_parallel_tasks
        _set_spans(run, given.spans)


def _set_spans(run: "Message", spans: "Mapping[str, Span]") -> None:
    from penstock.policies import duration

    for name, span in spans.items():
        if span.text:
            run.ClearField(name)
        if span.text and span.text != NOTHING:
            getattr(run, name).MergeFrom(duration(span.seconds))


def _types(client: "Client", job: "Job") -> "Mapping[str, str]":
    """The types of the parameters that the job's run takes."""
    from penstock.ir import parameter_types

    if job.run.pipeline_version:
        return declared_types(client.pipelines.get_version(job.run.pipeline_version))
    return parameter_types(job.run.spec.text) or {}
