"""Every reason with which a call may fail: what it means and what to do.

`docs/reference/errors.md` is made of it by `errors_page`. A test holds the table, the raises in the server, the
comments in the schema and the page together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.model import errors
from penstock_server.rpc.errors import codes


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason."""

    kind: type[errors.PenstockError]
    """The class it is raised with, which says the status code."""
    meaning: str
    remedy: str
    """What the caller should do."""
    of_calls: bool = True
    """A call can be answered with it; otherwise it is told at the start of a server, or between its parts."""
    http: int | None = None
    """Status over HTTP where there is a better one than that of the class."""


def _missing(what: str, remedy: str = "Check the name; list what there is.") -> Reason:
    return Reason(errors.NotFound, f"There is no {what} of that name.", remedy)


def _exists(what: str) -> Reason:
    meaning = f"There is {what} of that name already."
    return Reason(errors.AlreadyExists, meaning, "Use that one, or choose another id.")


_INVALID = errors.InvalidArgument
_STATE = errors.FailedPrecondition
_FIX = "Correct the fields that BadRequest names."
_LIST = "Take one that the last answer gave and repeat the other arguments, or start without it."

REASONS: Mapping[str, Reason] = {
    # The request itself.
    "INVALID_REQUEST": Reason(_INVALID, "A field breaks a rule of the schema.", _FIX),
    "REQUEST_UNREADABLE": Reason(
        _INVALID, "The bytes are not the message that the method takes.", "Use the schema of this server."
    ),
    "REQUEST_TOO_LARGE": Reason(
        errors.ResourceExhausted, "The request is over the server's limit.", "Send less.", http=413
    ),
    "BODY_TOO_SLOW": Reason(
        errors.DeadlineExceeded,
        "The body of an HTTP request came slower than the server waits for.",
        "Send it at once, over a faster line.",
        http=408,
    ),
    "UNKNOWN_PATH": Reason(
        errors.NotFound, "Nothing is served under the HTTP path.", "See the guide to the HTTP interface."
    ),
    "API_VERSION_UNSUPPORTED": Reason(
        errors.Unimplemented,
        "The path is one of KFP's v1beta1 API that is not served.",
        "Use KFP's SDK 2.x, or the paths under `/apis/v2beta1`.",
    ),
    "USER_UNKNOWN": Reason(
        errors.Unauthenticated,
        "The server is set up for several users of KFP, and the call does not name one.",
        "Let the proxy in front of the server set the header that the message names.",
    ),
    "METHOD_NOT_ALLOWED": Reason(
        errors.Unimplemented,
        "The HTTP path is served, but not for this HTTP method.",
        "Use one that the header Allow lists.",
        http=405,
    ),
    "UNSUPPORTED_MEDIA_TYPE": Reason(
        _INVALID, "The body is of a type that is not read here.", "Send what the message asks for.", http=415
    ),
    "INVALID_QUERY": Reason(
        _INVALID, "A query parameter names no field, or cannot be read.", "Correct what the message names."
    ),
    "INVALID_TIMEOUT": Reason(
        _INVALID, "The header with the call's deadline cannot be read.", "Follow the form in the message."
    ),
    "HOST_NOT_ALLOWED": Reason(
        errors.PermissionDenied,
        "The server does not answer to the name in the header Host.",
        "Use its address, or add the name to the server's setting `allowed_hosts`.",
    ),
    "ORIGIN_NOT_ALLOWED": Reason(
        errors.PermissionDenied,
        "Web pages of that origin may not use the server.",
        "Add the origin to the server's setting `allowed_origins`.",
    ),
    "INVALID_NAME": Reason(_INVALID, "A resource name has the wrong form.", "Follow the form in the message."),
    "INVALID_FILTER": Reason(
        _INVALID, "The filter cannot be read.", "See filters.md; the message points at the place."
    ),
    "INVALID_ORDER_BY": Reason(_INVALID, "The list cannot be ordered like that.", "Use fields that the message lists."),
    "INVALID_PAGE_TOKEN": Reason(
        _INVALID, "The page token is not one of this server's, or belongs to another list.", _LIST
    ),
    "INVALID_RESUME_TOKEN": Reason(
        _INVALID, "The resume token is not one of this server's, or belongs to another stream.", _LIST
    ),
    "INVALID_UPDATE_MASK": Reason(
        _INVALID, "The mask names a field that cannot be changed.", "Name fields that the message lists."
    ),
    "REQUEST_ID_REUSED": Reason(
        errors.AlreadyExists,
        "The request id was used for another request.",
        "Draw a new request id for each new request; keep it for repeats only.",
    ),
    "ETAG_MISMATCH": Reason(
        errors.Conflict, "The resource has changed since it was read.", "Read it again, then repeat."
    ),
    # Specs and parameters.
    "INVALID_PACKAGE": Reason(
        _INVALID, "A package holds no pipeline that can be read.", "Upload what the KFP compiler writes."
    ),
    "INVALID_UPLOAD": Reason(
        _INVALID, "The form of an upload holds no file that can be read.", "Send it as the message says."
    ),
    "VISUALIZATION_UNAVAILABLE": Reason(
        errors.Unimplemented,
        "KFP's pages made by code of callers are not served.",
        "Let a step write an HTML artifact.",
    ),
    "URL_REFUSED": Reason(
        _INVALID,
        "The server does not download from that address, or gets nothing there.",
        "Follow the message; the server's settings `kfp_url_*` say what is allowed.",
    ),
    "INVALID_SPEC": Reason(_INVALID, "The pipeline spec is wrong.", "Correct the paths that BadRequest names."),
    "SPEC_TOO_LARGE": Reason(_INVALID, "The pipeline spec is larger than allowed.", "Split the pipeline."),
    "SPEC_UNSUPPORTED": Reason(
        errors.Unimplemented,
        "The spec is right, but uses what this server does not run.",
        "Do without what the message names, or use a server that runs it.",
    ),
    "UNKNOWN_PARAMETER": Reason(
        _INVALID,
        "A parameter was given that the pipeline does not take.",
        "Leave it out, or correct its name.",
    ),
    "MISSING_PARAMETER": Reason(_INVALID, "A parameter without a default was not given.", "Give it."),
    "PARAMETER_TYPE_MISMATCH": Reason(
        _INVALID, "A parameter's value has the wrong type.", "Give a value of the declared type."
    ),
    "COMPONENT_SOURCE_UNAVAILABLE": Reason(
        errors.Unimplemented,
        "A run cannot be made from a component version here.",
        "Use a pipeline version or an inline spec.",
    ),
    # Triggers.
    "INVALID_CRON": Reason(
        _INVALID,
        "A cron expression cannot be read, or never comes true.",
        "See schedules.md; the message names the part.",
    ),
    "INVALID_TIME_ZONE": Reason(
        _INVALID, "A time zone is not one of the IANA database.", "Use a name such as `Europe/Berlin`."
    ),
    "INVALID_INTERVAL": Reason(
        _INVALID, "The interval is too short or too long.", "Use one from a second to 100 years."
    ),
    "INVALID_MACRO": Reason(
        _INVALID,
        "A parameter has a macro that is not known, or macros that write too much.",
        "See schedules.md; `$${` writes a plain `${`.",
    ),
    # Resources.
    "NAMESPACE_NOT_FOUND": _missing("namespace"),
    "NAMESPACE_EXISTS": _exists("a namespace"),
    "NAMESPACE_NOT_EMPTY": Reason(
        _STATE, "The namespace holds resources.", "Delete them first; the message names some."
    ),
    "DEFAULT_NAMESPACE": Reason(_STATE, "The default namespace cannot be deleted.", "Leave it."),
    "EXPERIMENT_NOT_FOUND": _missing("experiment"),
    "EXPERIMENT_EXISTS": _exists("an experiment"),
    "EXPERIMENT_HAS_RUNS": Reason(_STATE, "The experiment has runs.", "Delete them first, or delete it with `force`."),
    "EXPERIMENT_HAS_JOBS": Reason(
        _STATE, "Jobs make runs in the experiment.", "Let them use another one, or delete it with `force`."
    ),
    "EXPERIMENT_ARCHIVED": Reason(
        _STATE, "An archived experiment takes no new runs.", "Unarchive it, or name another one."
    ),
    "DEFAULT_EXPERIMENT": Reason(_STATE, "The default experiment can be neither deleted nor archived.", "Leave it."),
    "DEFAULT_EXPERIMENT_NEEDED": Reason(
        errors.Conflict, "A client of KFP asked to delete the default experiment.", "Leave it."
    ),
    "PIPELINE_NOT_FOUND": _missing("pipeline"),
    "PIPELINE_EXISTS": _exists("a pipeline"),
    "PIPELINE_HAS_VERSIONS": Reason(
        _STATE, "The pipeline has versions.", "Delete them first, or delete it with `force`."
    ),
    "PIPELINE_ARCHIVED": Reason(_STATE, "An archived pipeline takes no new versions.", "Unarchive it first."),
    "PIPELINE_VERSION_NOT_FOUND": _missing("version", "Check number or alias; list the pipeline's versions."),
    "ALIAS_EXISTS": _exists("a version"),
    "RUN_NOT_FOUND": _missing("run"),
    "RUN_EXISTS": _exists("a run"),
    "RUN_NOT_FINISHED": Reason(
        _STATE, "Only a finished run can be deleted.", "Cancel it and wait, or delete it with `force`."
    ),
    "RUN_FINISHED": Reason(
        _STATE, "A finished run can be neither cancelled nor paused nor resumed.", "Nothing needs to be done."
    ),
    "RUN_CANCELLING": Reason(_STATE, "A run that is being cancelled cannot be paused.", "Wait for its end."),
    "RUN_NOT_RETRYABLE": Reason(
        _STATE, "Only a failed or cancelled run can be retried.", "Wait for its end, or make a new run."
    ),
    "RUN_IMPORTED": Reason(
        _STATE, "The run was imported: it ran in another installation.", "Run it again (`RerunRun`), as a new run."
    ),
    "IMPORT_NOT_ENDED": Reason(
        _STATE, "A run that is still under way in KFP cannot be imported.", "Import it again once it has ended."
    ),
    "IMPORT_ID_TAKEN": Reason(
        errors.AlreadyExists,
        "The run or the job of that id is in another namespace of this server.",
        "Use that one, or delete it there and import again.",
    ),
    "RUN_NOT_FAILED": Reason(
        errors.Conflict,
        "A client of KFP asked to retry a run that has not failed, or is about to be retried.",
        "Wait for its end, or make a new run.",
    ),
    "PLUGINS_OUTPUT_GIVEN": Reason(
        errors.Conflict,
        "A client of KFP gave a new run the output of plugins, which only a server tells.",
        "Leave it out.",
    ),
    "REPORTS_UNAVAILABLE": Reason(
        errors.Unimplemented,
        "KFP's controllers report workflows to the server, and this one runs pipelines itself.",
        "Stop KFP's agents.",
    ),
    "RUN_DELETED": Reason(
        errors.NotFound, "The run was deleted while it was watched.", "Nothing follows; stop watching."
    ),
    "TASK_NOT_FOUND": _missing("task", "Check the id; list the run's tasks."),
    "ATTEMPT_NOT_FOUND": Reason(
        errors.NotFound, "The task has no such attempt.", "Get the task; its attempts are listed there."
    ),
    "LOG_NOT_FOUND": Reason(errors.NotFound, "The log is not stored, or no longer.", "Nothing can be done."),
    "LOG_UNAVAILABLE": Reason(
        errors.Unavailable, "The cluster does not give the log of a running step just now.", "Ask again."
    ),
    "LOG_OFFSET_OUT_OF_RANGE": Reason(
        _INVALID, "The offset lies after the end of the log.", "Start at the log's size or before."
    ),
    "JOB_NOT_FOUND": _missing("job"),
    "JOB_EXISTS": _exists("a job"),
    "JOB_ARCHIVED": Reason(_STATE, "An archived job fires no more.", "Unarchive it first."),
    "JOB_DELETED": Reason(
        errors.NotFound, "The job was deleted while it was watched.", "Nothing follows; stop watching."
    ),
    "BACKFILL_NOT_FOUND": _missing("backfill", "Check the id; list the job's backfills."),
    "BACKFILL_EXISTS": _exists("a backfill"),
    "BACKFILL_RANGE_INVALID": Reason(
        _INVALID, "The range of the backfill ends before it begins, or in the future.", "Name a range that is past."
    ),
    "BACKFILL_TOO_LARGE": Reason(
        _INVALID,
        "The range of the backfill holds more slots than `slot_limit`.",
        "Fill up less at a time, or raise `slot_limit`.",
    ),
    "BACKFILL_FINISHED": Reason(_STATE, "A finished backfill cannot be cancelled.", "Nothing needs to be done."),
    # The server.
    "DATABASE_UNAVAILABLE": Reason(
        errors.Unavailable, "The database does not answer.", "Repeat after the delay in RetryInfo."
    ),
    "COMMIT_OUTCOME_UNKNOWN": Reason(
        errors.Unavailable,
        "The database went away while it committed, so nobody knows whether the change was made.",
        "Look, or repeat the call with its `request_id`.",
    ),
    "SERVER_DRAINING": Reason(
        errors.Unavailable, "This server is about to end.", "Repeat; streams go on with their resume token."
    ),
    "SERVER_BUSY": Reason(
        errors.ResourceExhausted,
        "The server serves as many calls, streams or uploads as it takes at a time, or its database cannot keep up.",
        "Repeat after the delay in RetryInfo, and make fewer calls at once.",
    ),
    "DEADLINE_EXCEEDED": Reason(
        errors.DeadlineExceeded, "The call's time ran out.", "Allow it more time, or ask for less."
    ),
    "INTERNAL": Reason(
        errors.Internal,
        "The server failed in a way that it should not.",
        "Report it with the `error_id` in the metadata, under which the server's log has the details.",
    ),
    "MIGRATIONS_PENDING": Reason(
        _STATE,
        "The database has an older schema than this server.",
        "Run `penstock-server migrate` with the same settings.",
        of_calls=False,
    ),
    # Told at the start of a server.
    "ADDRESS_IN_USE": Reason(_STATE, "The address to listen on is taken.", "Choose another address.", of_calls=False),
    "DATA_DIR_IN_USE": Reason(
        _STATE, "Another server uses the data folder.", "Stop it, or name another folder.", of_calls=False
    ),
    "DATA_DIR_UNUSABLE": Reason(
        _STATE,
        "The data folder cannot hold a database.",
        "Do what the message says, or name another folder.",
        of_calls=False,
    ),
    "PART_NOT_INSTALLED": Reason(
        _STATE,
        "This installation lacks a part that the settings ask for; the image has neither a Postgres nor uv.",
        "Do what the message says: choose what is there, or install the whole of `penstock-server`.",
        of_calls=False,
    ),
    "SETTING_MISSING": Reason(
        _STATE, "The settings together need one more.", "Give the one that the message names.", of_calls=False
    ),
    "POLICIES_INVALID": Reason(
        _STATE, "The file of policies cannot be read.", "Correct what the message names.", of_calls=False
    ),
    "KUBERNETES_ACCESS": Reason(
        _STATE,
        "The cluster for steps cannot be reached as configured, lacks a namespace, or forbids what is needed.",
        "Do what the message says: name a kubeconfig, make the namespace, or give the service account its role.",
        of_calls=False,
    ),
    "ARTIFACT_STORE_UNUSABLE": Reason(
        _STATE,
        "The artifact store that the settings name cannot be written and read.",
        "Do what the message says: look at `artifacts_url`, the credentials in the environment and what they allow.",
        of_calls=False,
    ),
    # Told between the parts of a server; a failed attempt may show them.
    "ARTIFACT_STORE_UNAVAILABLE": Reason(
        errors.Unavailable,
        "The artifact store cannot be written or read just now.",
        "Nothing; it is tried again for two minutes. Look at the disk or the object store that holds the artifacts.",
    ),
    "LAUNCHER_UNAVAILABLE": Reason(
        errors.Unavailable,
        "The machine cannot serve a step just now.",
        "Nothing; the step is tried again. If it lasts, look at disk space and limits.",
        of_calls=False,
    ),
    "LAUNCHER_CLOSED": Reason(
        errors.Unavailable, "The server is about to end.", "Nothing; another one goes on.", of_calls=False
    ),
    "ARTIFACT_NOT_FOUND": Reason(
        errors.NotFound, "There is no such artifact, or its content is not where its URI says.", "Make it again."
    ),
    "ARTIFACT_NOT_READABLE": Reason(
        _STATE, "An artifact is a folder, or too large for an answer.", "Read it where its URI says."
    ),
    "ARTIFACT_NOT_A_FILE": Reason(
        _INVALID, "An artifact is neither a file nor a folder.", "Write files and folders.", of_calls=False
    ),
    "URI_OUTSIDE_STORE": Reason(
        _INVALID,
        "A URI points outside the artifact store of this server.",
        "Use URIs below the store's root.",
        of_calls=False,
    ),
}


def http_status(error: errors.PenstockError) -> int:
    """Which HTTP status tells of `error`."""
    reason = REASONS.get(error.reason)
    return codes(error).http if reason is None or reason.http is None else reason.http
