"""What is asked of a run beside what it executes: by a Run, and by a RecurringRun for the runs it makes."""

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.compat.literals import escaped_values
from penstock_server.compat.naming import check_chars
from penstock_server.compat.refusals import wrong
from penstock_server.compat.service_accounts import NAME_MAX, labels_for
from penstock_server.compat.sources import Asking
from penstock_server.compat.spaces import DEFAULT, Spaces
from penstock_server.engine.artifact_roots import Stores, checked_root
from penstock_server.model.errors import FailedPrecondition
from penstock_server.model.json import Json
from penstock_server.model.resources import Experiment
from penstock_server.rpc.call import Call
from penstock_server.rpc.json_values import from_value
from penstock_server.store import experiments, kfp_views
from penstock_server.store.database import Connection

NAME_CHARS_MAX = 256
DESCRIPTION_CHARS_MAX = 10_000
PARAMETERS = "runtime_config.parameters"


@dataclass(frozen=True, slots=True)
class AskedRun:
    """What is asked."""

    experiment: Experiment
    display_name: str
    description: str
    labels: Mapping[str, str]
    parameters: Mapping[str, Json]
    """In our writing, in which only KFP's macros are some."""
    artifact_root: str


@dataclass(frozen=True, slots=True)
class AskedRuns:
    """Reads it."""

    spaces: Spaces
    stores: Stores

    async def read(
        self, connection: Connection, message: Asking, experiment_id: str, call: Call, field: str
    ) -> AskedRun:
        """What `message`, whose path is `field`, asks. Raises InvalidArgument, NotFound(EXPERIMENT_NOT_FOUND),
        FailedPrecondition(EXPERIMENT_ARCHIVED)."""
        self._check(message, field)
        experiment = await self._experiment(connection, experiment_id, call, f"{field}.experiment_id")
        if experiment.archive_time is not None:
            told = f"experiment {experiment.display_name} is archived; unarchive it, or name another one"
            raise FailedPrecondition("EXPERIMENT_ARCHIVED", told)
        return self.asked_in(experiment, message, field)

    def asked_in(self, experiment: Experiment, message: Asking, field: str) -> AskedRun:
        """What `message` asks in an experiment that is known. Raises InvalidArgument."""
        self._check(message, field)
        config = message.runtime_config
        parameters = {
            name: from_value(value, f"{field}.{PARAMETERS}.{name}") for name, value in config.parameters.items()
        }
        return AskedRun(
            experiment=experiment,
            display_name=message.display_name,
            description=message.description,
            labels=labels_for(message.service_account),
            parameters=escaped_values(parameters),
            artifact_root=checked_root(config.pipeline_root, self.stores, f"{field}.runtime_config.pipeline_root"),
        )

    def _check(self, message: Asking, field: str) -> None:
        check_chars(message.display_name, f"{field}.display_name", NAME_CHARS_MAX)
        if len(message.description) > DESCRIPTION_CHARS_MAX:
            raise wrong(f"{field}.description", f"has to have at most {DESCRIPTION_CHARS_MAX} characters")
        if len(message.service_account) > NAME_MAX:
            raise wrong(f"{field}.service_account", f"has to have at most {NAME_MAX} characters")
        if message.plugins_input:
            raise wrong(f"{field}.plugins_input", "is for plugins, and this server has none; leave it out")

    async def _experiment(self, connection: Connection, uid: str, call: Call, field: str) -> Experiment:
        """The experiment, which says the namespace; without one the default experiment, for a single user."""
        if uid:
            return await kfp_views.get_experiment_record(connection, self.spaces.reachable(call), uid)
        self.spaces.check_user(call)
        if self.spaces.multi_user:
            raise wrong(field, "is missing: Experiment id can not be empty in multi-user mode")
        return await experiments.get(connection, DEFAULT, experiments.DEFAULT)
