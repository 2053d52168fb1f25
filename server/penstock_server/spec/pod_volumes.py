"""The volumes of a step's pod and where they are mounted, from the settings of its executor.

A volume is called as KFP calls it, after its claim, secret or config map, so that the init containers of a pipeline
find it by that name. A name that no volume can have, or that is taken, is replaced by one made from it.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from penstock_server.model.json import Json, JsonObject
from penstock_server.spec.pod_entries import Entry, SettingError, check_annotation, present
from penstock_server.spec.values import as_text, shown

RESERVED = "/penstock"
"""A path that is ours, with all below it."""
OWN = "penstock-"
"""Volumes and containers that begin so are ours."""
ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # where programs look for it, in a container of their own


@dataclass(slots=True)
class Volumes:
    """What is mounted, each volume once."""

    volumes: list[JsonObject] = field(default_factory=list)
    mounts: list[JsonObject] = field(default_factory=list)

    def add(self, wanted: str, source: JsonObject, mount: JsonObject) -> None:
        """Mount what `source` tells of under a name that is `wanted`, or made from it."""
        volume = {"name": self._free(wanted, source), **source}
        if volume not in self.volumes:
            self.volumes.append(volume)
        self.mounts.append({"name": volume["name"], **mount})

    def _free(self, wanted: str, source: JsonObject) -> str:
        name = volume_name(wanted)
        if any(volume["name"] == name and volume != {"name": name, **source} for volume in self.volumes):
            return _made_name(wanted, as_text(source))
        return name


def volume_name(wanted: str) -> str:
    """The name of the volume that is to be called `wanted`: that itself wherever it can be."""
    return wanted if _LABEL.match(wanted) and not wanted.startswith(OWN) else _made_name(wanted)


def _made_name(wanted: str, *more: str) -> str:
    digits = hashlib.sha256("\0".join([wanted, *more]).encode()).hexdigest()[:10]
    return f"v-{re.sub('[^a-z0-9]+', '-', wanted.lower())[:40].strip('-')}-{digits}".replace("--", "-")


def read_volumes(settings: Entry) -> Volumes:
    """All volumes of the executor: claims, secrets, config maps, ephemeral ones and empty folders."""
    found = Volumes()
    for name, source, mount in (*references(settings), *_ephemeral(settings), *_empty(settings)):
        found.add(name, source, mount)
    _check_paths(found.mounts)
    return found


def read_references(settings: Entry) -> Volumes:
    """Those of them that exist on their own, which alone a component is told of."""
    found = Volumes()
    for name, source, mount in references(settings):
        found.add(name, source, mount)
    return found


Wanted = tuple[str, JsonObject, JsonObject]
"""Name, source and mount of a volume."""


def references(settings: Entry) -> Iterator[Wanted]:
    """Claims, secrets and config maps."""
    for entry in settings.entries("pvcMount"):
        if name := _claim(entry):
            yield name, {"persistentVolumeClaim": {"claimName": name}}, _mount(entry, subPath=entry.text("subPath"))
    for entry in settings.entries("secretAsVolume"):
        if name := entry.name("secretName"):
            secret: JsonObject = {"secretName": name, "optional": entry.flag("optional")}
            yield name, {"secret": secret}, _mount(entry)
    for entry in settings.entries("configMapAsVolume"):
        if name := entry.name("configMapName"):
            yield name, {"configMap": {"name": name, "optional": entry.flag("optional")}}, _mount(entry)


def _claim(entry: Entry) -> str:
    """The name of a claim: of the newer field, or of the older ones that stand in the entry itself."""
    if entry.has("pvcNameParameter"):
        return entry.checked_name("pvcNameParameter", as_text(entry.given("pvcNameParameter") or ""))
    if entry.has("constant"):
        return entry.checked_name("constant", entry.required("constant"))
    return entry.checked_name("pvcNameParameter", as_text(entry.value_of(entry.binding()) or ""))


def _ephemeral(settings: Entry) -> Iterator[Wanted]:
    """Claims that are made with the pod and go with it."""
    for entry in settings.entries("genericEphemeralVolume"):
        metadata = entry.entry("metadata")
        annotations = metadata.strings("annotations")
        for name in annotations:
            check_annotation(f"{metadata.at('annotations')}.{name}", name)
        size = entry.quantity("size")
        if not size:
            raise entry.wrong("size", "is missing")
        spec = present(
            accessModes=list(_access_modes(entry)),
            resources={"requests": {"storage": size}},
            storageClassName="" if entry.flag("defaultStorageClass") else entry.text("storageClassName"),
        )
        about = present(labels=dict(metadata.labels("labels")), annotations=dict(annotations))
        template = present(metadata=about, spec=spec)
        yield entry.required("volumeName"), {"ephemeral": {"volumeClaimTemplate": template}}, _mount(entry)


def _access_modes(entry: Entry) -> Iterator[Json]:
    modes = entry.texts("accessModes")
    if not modes or any(mode not in ACCESS_MODES for mode in modes):
        raise entry.wrong("accessModes", f"has to be a list of {', '.join(ACCESS_MODES)}")
    yield from modes


def _empty(settings: Entry) -> Iterator[Wanted]:
    """Folders that begin empty, and shared memory beyond the 64 MiB that containers have."""
    for entry in settings.entries("emptyDirMounts"):
        if (medium := entry.text("medium")) not in ("", "Memory") and not medium.startswith("HugePages"):
            raise entry.wrong("medium", f"has to be Memory, or nothing, and is {shown(medium)}")
        source: JsonObject = {"emptyDir": present(medium=medium, sizeLimit=entry.quantity("sizeLimit"))}
        yield entry.required("volumeName"), source, _mount(entry)
    if settings.has("enabledSharedMemory"):
        entry = settings.entry("enabledSharedMemory")
        source = {"emptyDir": present(medium="Memory", sizeLimit=entry.quantity("size"))}
        yield entry.text("volumeName") or "shm", source, {"mountPath": _SHARED_MEMORY}


def _mount(entry: Entry, **more: str) -> JsonObject:
    path = entry.required("mountPath")
    if ":" in path or ".." in path.split("/"):
        raise entry.wrong("mountPath", f"has to be a path without : and .. and is {shown(path)}")
    sub_path = more.get("subPath", "")
    if sub_path.startswith("/") or ".." in sub_path.split("/"):
        raise entry.wrong("subPath", f"has to be a path within the volume and is {shown(sub_path)}")
    absolute = f"/{path.strip('/')}"
    if absolute == RESERVED or absolute.startswith(f"{RESERVED}/"):
        raise entry.wrong("mountPath", f"is {shown(path)}, and {RESERVED} is Penstock's own")
    return present(mountPath=path, **more)


def _check_paths(mounts: list[JsonObject]) -> None:
    seen: set[str] = set()
    for mount in mounts:
        path = f"/{str(mount['mountPath']).strip('/')}"
        if path in seen:
            raise SettingError("mountPath", f"{path} is given to two volumes; a path takes one")
        seen.add(path)
