"""The Kubernetes launcher: every attempt is a pod, made by whichever server and watched by all.

It makes them, hears of their ends and takes over those of a server that was killed or that runs beside it; the cluster
and the object store hold all that is needed for that. One attempt's way stands in `attempt`, what is seen of pods comes
from `reflector`, and how it is judged is told in `judge`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from penstock_server.launch import verdicts
from penstock_server.launch.base import Capability, EarlierStep, LogChunk, Observation, StepRequest
from penstock_server.launch.kubernetes import names, permissions
from penstock_server.launch.kubernetes.api import ClusterApi, Kind
from penstock_server.launch.kubernetes.api_errors import ApiConflictError, ApiError, ApiUnavailableError
from penstock_server.launch.kubernetes.attempt import PodAttempt
from penstock_server.launch.kubernetes.budget import PodBudget
from penstock_server.launch.kubernetes.claims import is_still_so
from penstock_server.launch.kubernetes.pod_logs import PodLogs
from penstock_server.launch.kubernetes.records import Closing, Records
from penstock_server.launch.kubernetes.reflector import Reflector, ReflectorSettings
from penstock_server.launch.kubernetes.strays import Registry, Strays
from penstock_server.launch.kubernetes.view import PodView
from penstock_server.launch.kubernetes.workplace import KubernetesSettings, Workplace
from penstock_server.model.errors import FailedPrecondition, Unavailable
from penstock_server.model.ids import AttemptId, RunUid

_log = logging.getLogger(__name__)

FORGOTTEN = "FORGOTTEN"


class KubernetesLauncher:
    """Executes attempts as pods. Implements `launch.base.Launcher`."""

    name = "kubernetes"
    capabilities = frozenset({Capability.PODS, Capability.VOLUMES})

    def __init__(
        self, api: ClusterApi, records: Records, settings: KubernetesSettings, registry: Registry | None = None
    ) -> None:
        self._api = api
        self._records = records
        self._settings = settings
        self._strays = Strays(registry, self.forget) if registry is not None else None
        self._logs = PodLogs(api, records, self._find, settings.logs)
        self._place = Workplace(api, records, self._logs, PodBudget(settings.pending_pods_max), settings)
        self._attempts: dict[AttemptId, PodAttempt] = {}
        self._pods: dict[AttemptId, PodView] = {}
        """The pods of all servers, by attempt."""
        self._stopped: set[AttemptId] = set()
        """Stopped before they came."""
        self._told: asyncio.Queue[Observation | None] = asyncio.Queue()
        self._reflectors: list[Reflector] = []
        self._loops: list[asyncio.Task[None]] = []
        self._observed = False
        self._closed = False

    async def start(self) -> None:
        """Begin to follow the pods. Raises FailedPrecondition where the cluster cannot be used as configured."""
        await self._api.open()
        labels = f"{names.INSTALLATION_LABEL}={self._settings.frame.installation}"
        await self._check()
        settings = ReflectorSettings(self._settings.reconcile_s)
        for namespace in self._settings.namespaces.all:
            reflector = Reflector(self._api, namespace, labels, self._see, settings)
            self._reflectors.append(reflector)
            reflector.start()
        await self._synced()
        self._loops = [asyncio.create_task(self._tick())]
        if self._strays is not None:
            self._loops.append(asyncio.create_task(self._sweep(self._strays)))

    async def close(self) -> None:
        """Let go of the attempts, whose pods go on."""
        if self._closed:
            return
        self._closed = True
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await asyncio.gather(*(attempt.close() for attempt in self._attempts.values()))
        await asyncio.gather(*(reflector.close() for reflector in self._reflectors))
        await self._logs.close()
        await self._api.close()
        self._told.put_nowait(None)

    async def launch(self, request: StepRequest) -> None:
        """Make the attempt's pod, unless there is one."""
        if request.attempt not in self._attempts:
            self._take(request).launch()
            self._stop_if_asked(request.attempt)

    async def adopt(self, requests: list[StepRequest]) -> None:
        """Take attempts over; one that has left no trace has never run and is launched."""
        await self._synced()
        for request in requests:
            known = self._attempts.get(request.attempt)
            if known is None:
                self._take(request).adopt(self._pods.get(request.attempt))
                self._stop_if_asked(request.attempt)
            elif known.account.last is not None:
                self._told.put_nowait(known.account.last)

    async def stop(self, attempt: AttemptId) -> None:
        """End the attempt, or see to it that it never starts."""
        known = self._attempts.get(attempt)
        if known is not None:
            known.stop()
            return
        await self._synced()
        pod = self._pods.get(attempt)
        if pod is None:
            await self._records.close(attempt, Closing(verdicts.STOPPED))
        elif pod.ended(names.MAIN) is None and pod.deletion_at is None:
            await self._stop_pod(attempt, pod)
        self._stopped.add(attempt)

    async def observe(self) -> AsyncIterator[Observation]:
        """What happens to the attempts. Begins with the present state of each when it is not the first time."""
        if self._observed:
            for attempt in self._attempts.values():
                if attempt.account.last is not None:
                    self._told.put_nowait(attempt.account.last)
        self._observed = True
        while (observation := await self._told.get()) is not None:
            yield observation
        self._told.put_nowait(None)  # for whoever asks again

    async def forget(self, attempts: list[AttemptId]) -> None:
        """Delete the pods, once their logs are stored. Nothing of the attempts starts again."""
        await asyncio.gather(*(self._forget(attempt) for attempt in attempts))

    async def still_so(self, earlier: EarlierStep) -> bool:
        """Whether a claim that the step made is still there, or one that it deleted is not."""
        try:
            return await is_still_so(earlier, self._place)
        except ApiError as error:
            raise _unavailable(error) from error

    async def discard(self, run_uid: RunUid) -> None:
        """Drop the pods, logs, records and workspace of the run."""
        pods = [attempt for attempt in self._pods if attempt.run_uid == run_uid]
        known = [attempt for attempt in self._attempts if attempt.run_uid == run_uid]
        await self.forget(list(dict.fromkeys(known + pods)))
        try:
            for namespace in self._settings.namespaces.all:
                await self._drop_claims(namespace, run_uid)
        except ApiError as error:
            raise _unavailable(error) from error
        await self._records.discard(run_uid)

    def logs(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log from byte `offset` on, also of attempts of other servers."""
        return self._logs.read(attempt, offset, follow=follow)

    # Following

    def _see(self, pod: PodView, is_gone: bool) -> None:
        attempt = names.attempt_in(pod.annotations)
        if attempt is None:
            return
        if is_gone:
            self._pods.pop(attempt, None)
        else:
            self._pods[attempt] = pod
        known = self._attempts.get(attempt)
        if known is not None:
            known.see(pod, is_gone)

    def _find(self, attempt: AttemptId) -> PodView | None:
        known = self._attempts.get(attempt)
        if known is not None and known.pod is not None and not known.is_gone:
            return known.pod
        return self._pods.get(attempt)

    async def _synced(self) -> None:
        """Wait until all pods were listed. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._settings.sync_timeout_s):
                for reflector in self._reflectors:
                    await reflector.synced()
        except TimeoutError:
            message = "the pods of the cluster could not be listed yet"
            raise Unavailable("LAUNCHER_UNAVAILABLE", message, retry_after_s=1) from None

    async def _check(self) -> None:
        """See that we may do all that we have to; a cluster that is away is not asked. Raises FailedPrecondition."""
        try:
            await permissions.check(self._api, self._settings.namespaces.all)
        except ApiUnavailableError as error:
            _log.warning("permissions not checked", extra={"error": str(error)})
        except ApiError as error:
            message = f"the cluster does not tell this server what it may do: {error}"
            raise FailedPrecondition("KUBERNETES_ACCESS", message) from error

    async def _tick(self) -> None:
        """Look again at those whose judgement time alone may change."""
        while True:
            await asyncio.sleep(self._settings.tick_s)
            for attempt in list(self._attempts.values()):
                self._look_again(attempt)

    def _look_again(self, attempt: PodAttempt) -> None:
        """A fault of ours must not keep the others from being looked at."""
        try:
            if attempt.depends_on_time:
                attempt.look()
        except Exception:
            _log.exception("attempt not looked at", extra={"attempt": str(attempt.request.attempt)})

    # Taking and dropping

    def _take(self, request: StepRequest) -> PodAttempt:
        if self._closed:
            raise Unavailable("LAUNCHER_CLOSED", "the server is stopping; repeat the call on another one")
        attempt = PodAttempt(request, self._place, self._told.put_nowait)
        self._attempts[request.attempt] = attempt
        return attempt

    def _stop_if_asked(self, attempt: AttemptId) -> None:
        if attempt in self._stopped:
            self._stopped.discard(attempt)
            self._attempts[attempt].stop()

    async def _stop_pod(self, attempt: AttemptId, pod: PodView) -> None:
        """End a pod of an attempt that nobody has told us of; its log is stored meanwhile."""
        if pod.has_run(names.MAIN):
            self._logs.keep(attempt, pod)
        await self._delete(pod, self._settings.stop_grace_s)

    async def _forget(self, attempt: AttemptId) -> None:
        known = self._attempts.pop(attempt, None)
        pod = self._find(attempt)
        is_reported = False
        if known is not None:
            await known.close()
            is_reported = known.is_reported
            pod = known.pod if known.pod is not None and not known.is_gone else pod
        if pod is not None and pod.ended(names.MAIN) is not None and pod.has_run(names.MAIN):
            self._logs.keep(attempt, pod)
        await self._logs.kept(attempt)
        await self._logs.forget(attempt)
        if not is_reported:
            await self._close_for_good(attempt)
        if pod is not None:
            await self._delete(pod, 0 if pod.is_idle else self._settings.stop_grace_s)
            self._pods.pop(attempt, None)

    async def _close_for_good(self, attempt: AttemptId) -> None:
        if await self._records.closing(attempt) is None:
            await self._records.close(attempt, Closing(FORGOTTEN))

    async def _delete(self, pod: PodView, grace_s: int) -> None:
        try:
            await self._api.delete(Kind.PODS, pod.namespace, pod.name, uid=pod.uid, grace_s=grace_s)
        except ApiConflictError:
            return  # That one is gone.
        except ApiError as error:
            raise _unavailable(error) from error

    async def _drop_claims(self, namespace: str, run_uid: RunUid) -> None:
        labels = f"{names.INSTALLATION_LABEL}={self._settings.frame.installation},{names.RUN_LABEL}={run_uid}"
        async for page in self._api.pages(Kind.CLAIMS, namespace, labels=labels):
            for claim in page["items"]:
                await self._api.delete(Kind.CLAIMS, namespace, claim["metadata"]["name"])

    async def _sweep(self, strays: Strays) -> None:
        while True:
            await asyncio.sleep(self._settings.sweep_s)
            await strays.sweep(self._pods, self._attempts.keys())


def _unavailable(error: ApiError) -> Unavailable:
    return Unavailable("LAUNCHER_UNAVAILABLE", f"the cluster cannot be asked: {error}", retry_after_s=1)
