"""Makes the root file system of the image in a new folder: a Python, the pinned packages, Penstock, and nothing else.

    .venv/bin/python deploy/docker/rootfs.py build/rootfs

It needs no container engine and no registry: the interpreter that runs it is copied, with the shared libraries that
the machine's loader finds for it and for the packages. There is no shell in it and no package manager. The same
sources, interpreter and SOURCE_DATE_EPOCH give the same bytes, modes and times, so the same layer.

    /usr/local/bin/                penstock-server, penstock-agent, penstock, python3, env
    /usr/local/lib/python3.X/      the standard library, without what a server has no use for
    /opt/penstock/                 the packages
    /usr/lib/ /lib64/              shared libraries and the loader
    /etc/                          users, certificates, how names are resolved
"""

import argparse
import compileall
import os
import py_compile
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECTS = ("server", "clients/python")
REQUIREMENTS = ROOT / "requirements" / "image.txt"
USER = 65532
"""Whom the image runs as; the number that images without a distribution have made usual."""
PREFIX = "usr/local"
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = "opt/penstock"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"

UNUSED_LIBRARY = re.compile(
    "test|idlelib|tkinter|turtledemo|lib2to3|ensurepip|pydoc_data|distutils"
    "|config-.*|(site|dist)-packages|sitecustomize.py|EXTERNALLY-MANAGED"
)
"""Of the standard library: tests, windows, what installs and rewrites code, what belongs to the machine."""
UNUSED_MODULES = re.compile(r"(_test|_tkinter|_curses|readline|_dbm|_gdbm|_sqlite3|_xx|xx|nis|ossaudiodev)")
"""Compiled modules for tests, terminals and databases that nothing here opens; some bring large libraries."""
UNUSED_SUFFIXES = {".pyi", ".pyx", ".pxd", ".c", ".h", ".a"}
"""Sources and stubs that compilers and type checkers read."""
UNUSED_GENERATED = [f"kubernetes/{client}/{part}" for client in ("client", "aio/client") for part in ("api", "models")]
"""Two thousand modules, each loaded when it is asked for: the launcher asks for none, since it speaks plain JSON."""
SPOILERS = {"RECORD", "direct_url.json", "uv_cache.json", "REQUESTED", "INSTALLER"}
"""Of an installed distribution: where it was installed from, and what follows from that."""
LOADED_FROM = ("/lib/", "/usr/lib/", "/lib64/", "/usr/lib64/")
"""Where the loader looks without being told."""

BY_PYTHON = f"/usr/local/bin/{VERSION}"
PROGRAMS = {
    # The agent is started twice for every step: no environment, no user's packages, no `site`. It must not lose the
    # signal that ends it, also when that comes before there is a Python, as on a machine that is overloaded.
    "penstock-agent": (f"/usr/local/bin/env -S --block-signal=TERM {BY_PYTHON} -IS", "penstock_agent.__main__"),
    "penstock-server": (f"{BY_PYTHON} -I", "penstock_server.__main__"),
    "penstock": (f"{BY_PYTHON} -I", "penstock.cli.__main__"),
}
PROGRAM = """#!{by}
import sys
sys.path.append("/{packages}")
from {module} import main
sys.exit(main())
"""
FILES = {
    "etc/passwd": f"root:x:0:0::/:/\npenstock:x:{USER}:{USER}::/tmp:/\n",
    "etc/group": f"root:x:0:\npenstock:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def main() -> None:
    """Make the folder that is named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="is made; what is there already is replaced")
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of constants are written into compiled modules in the order of their hashes.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    make(parser.parse_args().folder.absolute(), source_date())


def make(root: Path, date_s: int) -> None:
    """The root file system; all that is in it carries the time `date_s`."""
    shutil.rmtree(root, ignore_errors=True)
    copy_python(root)
    install_packages(root / PACKAGES)
    install_penstock(root / PACKAGES, date_s)
    prune(root / PACKAGES)
    write_files(root)
    copy_shared_libraries(root)
    compile_modules(root)
    settle(root, date_s)


def source_date() -> int:
    """SOURCE_DATE_EPOCH, else the time of the commit that is checked out, in seconds since 1970."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    done = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else 0


def copy_python(root: Path) -> None:
    """The interpreter that runs this, and its standard library; and `env`, which starts it with a signal blocked."""
    program = root / PREFIX / "bin" / VERSION
    program.parent.mkdir(parents=True)
    shutil.copy(Path(sys._base_executable).resolve(), program)  # type: ignore[attr-defined]
    (program.parent / "python3").symlink_to(VERSION)
    shutil.copy(Path(shutil.which("env") or "/usr/bin/env").resolve(), program.parent / "env")
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, root / PREFIX / "lib" / VERSION, ignore=unused_in(library), ignore_dangling_symlinks=True)


def unused_in(library: Path) -> Callable[[str, list[str]], set[str]]:
    """What of the standard library is left out, as `copytree` asks for it."""

    def unused(folder: str, names: list[str]) -> set[str]:
        left_out = {name for name in names if name == "__pycache__" or Path(name).suffix in UNUSED_SUFFIXES}
        if Path(folder) == library:
            left_out |= {name for name in names if UNUSED_LIBRARY.fullmatch(name)}
        if Path(folder).name == "lib-dynload":
            left_out |= {name for name in names if UNUSED_MODULES.match(name)}
        return left_out

    return unused


def install_packages(target: Path) -> None:
    """The pinned packages; each has to be what its hash says."""
    uv("pip", "install", "--require-hashes", "--requirements", REQUIREMENTS, "--target", target, "--no-deps")
    shutil.rmtree(target / "bin", ignore_errors=True)
    (target / ".lock").unlink(missing_ok=True)


def install_penstock(target: Path, date_s: int) -> None:
    """The two distributions, as their wheels have them."""
    with tempfile.TemporaryDirectory() as folder:
        for project in PROJECTS:
            uv("build", "--wheel", "--no-build-isolation", "--out-dir", folder, ROOT / project, date_s=date_s)
        for wheel in sorted(Path(folder).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(target)


def uv(*arguments: str | Path, date_s: int = 0) -> None:
    """Run uv for the interpreter that runs this."""
    command = [find_uv_bin(), "--quiet", *arguments, "--python", sys.executable]
    environ = {"UV_LINK_MODE": "copy", "UV_SYSTEM_CERTS": "1", **os.environ, "SOURCE_DATE_EPOCH": str(date_s)}
    environ.pop("VIRTUAL_ENV", None)
    subprocess.run(command, env=environ, check=True)


def prune(packages: Path) -> None:
    """Take out of the packages what only a compiler reads, what tells one installation from another, what none uses."""
    for path in packages.rglob("*"):
        is_spoiler = path.name in SPOILERS and path.parent.suffix == ".dist-info"
        if path.is_file() and (is_spoiler or path.suffix in UNUSED_SUFFIXES):
            path.unlink()
    for folder in UNUSED_GENERATED:
        for path in (packages / folder).iterdir():
            if path.name != "__init__.py":
                path.unlink()


def write_files(root: Path) -> None:
    """The programs, and the little of `/etc` that is read."""
    for name, (by, module) in PROGRAMS.items():
        program = root / PREFIX / "bin" / name
        program.write_text(PROGRAM.format(by=by, packages=PACKAGES, module=module))
        program.chmod(0o755)
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / CERTIFICATES).parent.mkdir(parents=True)
    shutil.copy(Path("/", CERTIFICATES), root / CERTIFICATES)
    openssl = root / ssl.get_default_verify_paths().openssl_cafile.lstrip("/")
    openssl.parent.mkdir(parents=True, exist_ok=True)
    openssl.symlink_to(f"/{CERTIFICATES}")
    (root / "tmp").mkdir()


def copy_shared_libraries(root: Path) -> None:
    """What the loader finds for the interpreter and for every compiled module, to places where it looks by itself."""
    programs = [root / PREFIX / "bin" / name for name in (VERSION, "env")]
    binaries = [*programs, *sorted(root.rglob("*.so")), *sorted(root.rglob("*.so.*"))]
    found = {library for binary in binaries for library in shared_libraries(binary)}
    for library in sorted(found):
        if library.is_relative_to(root):
            continue
        lasting = library if str(library).startswith(LOADED_FROM) else Path("/usr/lib", library.name)
        target = root / lasting.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def shared_libraries(binary: Path) -> Iterator[Path]:
    """The files that the loader would load with `binary`, the loader among them."""
    told = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
    if missing := re.findall(r"(\S+) => not found", told):
        sys.exit(f"rootfs: {binary} needs {', '.join(missing)}, which this machine does not have")
    yield from map(Path, re.findall(r"(?:=> |^\s+)(/\S+) \(0x", told, re.MULTILINE))


def compile_modules(root: Path) -> None:
    """Compile all modules for good: the file system is read-only, so nobody would keep what is compiled later, and
    nothing changes a source, so nobody has to look at one."""
    for folder in (f"{PREFIX}/lib/{VERSION}", PACKAGES):
        compileall.compile_dir(
            root / folder,
            quiet=2,
            stripdir=str(root),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def settle(root: Path, date_s: int) -> None:
    """Everybody may read, nobody may write but to `/tmp`; every time is the same one."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (date_s, date_s), follow_symlinks=False)
    (root / "tmp").chmod(0o1777)


if __name__ == "__main__":
    main()
