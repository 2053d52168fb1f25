"""A component that is forked from a warm Python cannot tell that it was."""

import asyncio
import re
import signal
import textwrap
from pathlib import Path

import pytest

from penstock_server.launch.base import Observation, Phase, StepRequest
from penstock_server.launch.scratch import Folders
from penstock_server.launch.warm import WarmSettings
from penstock_server.model.resources import TaskValues
from tests.launch.components import NOTE_KIND, PACKAGES, kfp_step, kind_of, said, warm_up
from tests.launch.packages import prologue
from tests.launch.world import STRING, Watched, component, running, step

COLD = WarmSettings(pythons_max=0)

REPORTS = {
    "arguments": "print(sys.argv, sys.orig_argv, __name__, __file__)",
    "variables": "print(*sorted(os.environ.items()), sep='\\n')",
    "variables of children": "print(*sorted(os.popen('env').read().splitlines()), sep='\\n')",
    "paths": "print(sys.path, os.getcwd(), os.listdir('.'), sys.executable, sys.prefix, sys.path_hooks)",
    "flags": "print(sys.flags, sys._xoptions, sys.warnoptions, sys.getswitchinterval(), sys.getrecursionlimit())",
    "main": """
        main = sys.modules['__main__']
        print(sorted(main.__dict__), main.__spec__, main.__file__, main.__name__, main.__package__, main.__cached__)
        """,
    "names that site adds": "print(exit, quit, copyright, help)",
    "stack": "import traceback; traceback.print_stack(file=sys.stdout)",
    "streams": """
        for stream in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__):
            print(stream.name, stream.mode, stream.encoding, stream.errors, stream.line_buffering, stream.write_through)
            print(stream.newlines, stream.isatty(), stream.fileno(), stream.buffer, os.get_inheritable(stream.fileno()))
        print(sys.stdin.read() == '', *(os.path.basename(os.readlink(f'/proc/self/fd/{n}')) for n in range(3)))
        """,
    "files": "print(len(os.listdir('/proc/self/fd')))",
    "order of streams": "print('one'); print('two', file=sys.stderr); sys.stdout.flush(); os.write(1, b'three\\n')",
    "signals": """
        import signal
        print(*((number, signal.getsignal(number)) for number in sorted(signal.valid_signals())), sep='\\n')
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.set_wakeup_fd(-1))
        print(*(line for line in open('/proc/self/status') if line.startswith('Sig') and 'SigQ' not in line))
        """,
    "limits": """
        import resource
        print(*(resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith('RLIMIT_')))
        print(os.umask(0), os.nice(0), os.sched_getaffinity(0), os.getresuid(), os.getgroups())
        """,
    "session": "print(os.getsid(0) == os.getpgrp(), os.getpid() != os.getpgrp(), os.getpgrp() != os.getpid())",
    "temporary folder": """
        import tempfile
        print(tempfile.gettempdir(), tempfile.tempdir, os.stat(os.path.dirname(__file__)).st_mode)
        print(sorted(os.listdir(os.path.dirname(__file__))))
        """,
    "source": "print(repr(open(__file__).read()), os.stat(__file__).st_mode)",
    "threads": """
        import threading
        print(threading.current_thread() is threading.main_thread(), [each.name for each in threading.enumerate()])
        """,
    "memory": "import gc; print(gc.isenabled(), gc.get_threshold(), gc.garbage, gc.callbacks)",
    "logging": """
        import logging
        record = logging.makeLogRecord({})
        print(record.relativeCreated < 60000, logging.root.handlers, logging.root.level, logging.getLogger('x').level)
        """,
    "locale": "import locale; print(locale.getlocale(), locale.getpreferredencoding(), sys.getfilesystemencoding())",
    "subprocess": """
        import subprocess
        print(subprocess.run([sys.executable, '-c', 'import sys; print(sys.path)'], capture_output=True).stdout)
        """,
    "modules imported anew": "import json.tool, email, xml.dom, sqlite3; print(email.__file__)",
    "packages installed on the way": """
        with open(os.environ['PIP_TARGET'] + '/mine.py', 'w') as module:
            module.write('x = 7')
        import mine
        print(mine.x)
        """,
    "processes by fork": """
        import multiprocessing
        with multiprocessing.get_context('fork').Pool(2) as pool:
            print(pool.map(abs, [-1, -2]))
        """,
    "processes by spawn": """
        import multiprocessing
        with multiprocessing.get_context('spawn').Pool(1) as pool:
            print(pool.map(abs, [-1, -2]))
        """,
    "threads that are waited for": """
        import threading
        threading.Timer(0.1, print, ['late']).start()
        print('early')
        """,
    "what is left for the end": """
        import atexit, weakref
        class Left:
            def __del__(self):
                os.write(1, b'deleted\\n')
        global kept
        kept = Left()
        weakref.finalize(kept, os.write, 1, b'finalized\\n')
        atexit.register(print, 'registered first')
        atexit.register(print, 'registered last')
        """,
    "a file that nobody has closed": """
        global file
        file = open('unclosed', 'w')
        file.write('content')
        """,
    "exit with a number": "sys.exit(3)",
    "exit with words": "sys.exit('the words')",
    "exit with nothing": "sys.exit()",
    "exit with a large number": "sys.exit(259)",
    "exit at once": "print('lost'); os._exit(4)",
    "an exception": "value = {}['missing']",
    "an exception with a cause": """
        try:
            int('x')
        except ValueError as error:
            raise RuntimeError('because') from error
        """,
    "an exception with notes": "error = OSError(2, 'no'); error.add_note('a note'); raise error",
    "a hook for exceptions": "sys.excepthook = lambda *what: print('hooked', what[0]); raise ValueError",
    "an interrupt": "raise KeyboardInterrupt",
    "a signal to itself": "import signal; os.kill(os.getpid(), signal.SIGINT)",
    "a closed output": "os.close(1)",
    "a fork": """
        if os.fork() == 0:
            print('child')
            sys.exit(0)
        os.wait()
        print('parent')
        """,
}


Told = dict[str, str]


async def run_all(root: Path, settings: WarmSettings) -> Told:
    """How each of the components ends, what it says and what it leaves in its folder; by name."""
    told: Told = {}
    async with running(root, warm=settings) as launched:
        if settings.pythons_max:
            await warm_up(root, launched)
        for name, body in REPORTS.items():
            request = kfp_step(f"{NOTE_KIND}\n{textwrap.dedent(body)}", env=[("TZ", "Asia/Tokyo"), ("MODE", "fast")])
            end = await launched.run(request)
            assert kind_of(root, request) == ("warm" if settings.pythons_max else "cold"), name
            told[name] = await report(root, launched, request, end)
    return told


async def report(root: Path, launched: Watched, request: StepRequest, end: Observation) -> str:
    """How the component has ended, what it has printed and left, without what differs from attempt to attempt."""
    folder = Folders(root / "steps").of(request.attempt)
    left = {path.name: path.read_text() for path in Path(folder.work).iterdir() if path.name != "kind"}
    text = f"{end.phase} {end.exit_code} {end.message}\n{said(await launched.log_of(request))}{left}"
    text = text.replace(folder.live, "LIVE").replace(str(request.attempt), "ATTEMPT").replace(str(root), "ROOT")
    return re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", re.sub(r"tmp\.\w{10}", "tmp.X", text))


@pytest.fixture(scope="module")
def cold_and_warm(kfp_environments: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Told]:
    """What the components tell when each has an interpreter of its own, and when they are forked."""
    root = tmp_path_factory.mktemp("equal")
    (root / "environments").symlink_to(kfp_environments)
    return asyncio.run(run_all(root, COLD)), asyncio.run(run_all(root, WarmSettings()))


@pytest.mark.parametrize("name", REPORTS)
def test_a_forked_component_tells_what_one_with_an_interpreter_of_its_own_tells(
    name: str, cold_and_warm: tuple[Told, Told]
) -> None:
    cold, warm = cold_and_warm
    assert warm[name].splitlines() == cold[name].splitlines()


async def test_modules_of_a_component_are_those_of_one_with_an_interpreter_of_its_own_and_few_more(
    kfp_root: Path,
) -> None:
    async with running(kfp_root, warm=COLD) as launched:
        cold = await modules(launched)
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        warm = await modules(launched)
    assert cold - warm == set()
    assert {name.partition(".")[0] for name in warm - cold} == {
        *("_ctypes", "_socket", "_struct", "array", "ctypes", "gc", "math", "select", "selectors", "signal"),
        *("socket", "struct"),
    }


async def modules(launched: Watched) -> set[str]:
    """The names of the modules that a component finds loaded."""
    request = kfp_step("print(*sys.modules)")
    await launched.run(request)
    return set(said(await launched.log_of(request)).split())


async def test_what_a_fork_prints_stands_before_its_exception(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        request = kfp_step(f"{NOTE_KIND}\nprint('line 0')\nprint('line 1')\nraise ValueError('the real reason')")
        end = await launched.run(request)
        assert kind_of(kfp_root, request) == "warm"
        assert end.message == "exit code 1: ValueError: the real reason"
        lines = said(await launched.log_of(request)).splitlines()
        assert (lines[:2], lines[-1]) == (["line 0", "line 1"], "ValueError: the real reason")


async def test_what_a_fork_prints_is_read_while_it_runs(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        request = kfp_step(f"{NOTE_KIND}\nimport signal\nprint('ready')\nsignal.pause()")
        await launched.launcher.launch(request)
        async for chunk in launched.launcher.logs(request.attempt, 0, follow=True):
            if b"ready" in chunk.content:
                break
        assert kind_of(kfp_root, request) == "warm"
        await launched.launcher.stop(request.attempt)


async def test_a_component_that_asks_for_what_is_so_anyway_is_forked(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        request = kfp_step(NOTE_KIND, env=[("PYTHONUNBUFFERED", "1")])
        await launched.run(request)
        assert kind_of(kfp_root, request) == "warm"


async def test_forks_draw_different_random_numbers(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        requests = [kfp_step("import random, uuid; print(random.random(), uuid.uuid4())") for _ in range(3)]
        for request in requests:
            await launched.run(request)
        assert len({await said_by(launched, request) for request in requests}) == 3


async def said_by(launched: Watched, request: StepRequest) -> str:
    """What the component has printed."""
    return said(await launched.log_of(request))


async def test_inputs_of_any_length_arrive_and_outputs_are_told(kfp_root: Path) -> None:
    text = "é\r\n\U0001f40d" + "x" * 1_000_000
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        request = kfp_step(
            f"{NOTE_KIND}\nreturn text",
            signature="text: str",
            returns="str",
            inputs={"text": STRING},
            outputs={"Output": STRING},
            given=TaskValues({"text": text}),
        )
        end = await launched.run(request)
        assert kind_of(kfp_root, request) == "warm"
        assert end.outputs.parameters == {"Output": text}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGPIPE, signal.SIGUSR1])
async def test_a_component_that_a_signal_ends_is_told_as_a_shell_does(kfp_root: Path, number: signal.Signals) -> None:
    body = f"import signal; signal.signal({number}, signal.SIG_DFL); os.kill(os.getpid(), {number})"
    if number in (signal.SIGKILL,):
        body = f"os.kill(os.getpid(), {number})"
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        end = await launched.run(kfp_step(body))
        assert (end.phase, end.reason, end.exit_code) == (Phase.FAILED, "EXIT_CODE", 128 + number)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PYTHONHASHSEED", "1"),
        ("PYTHONPATH", "/elsewhere"),
        ("PYTHONUNBUFFERED", ""),
        ("LD_BIND_NOW", "1"),
        ("LC_ALL", "C"),
        ("LANG", "de_DE.UTF-8"),
        ("MALLOC_ARENA_MAX", "1"),
        ("HOME", "/elsewhere"),
        ("TMPDIR", "/tmp"),
        ("my.name", "x"),
        ("OLDPWD", "/"),
    ],
)
async def test_what_is_read_at_the_start_gets_an_interpreter_of_its_own(kfp_root: Path, name: str, text: str) -> None:
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        request = kfp_step(f"{NOTE_KIND}\nprint(os.environ.get({name!r}))", env=[(name, text)])
        await launched.run(request)
        assert kind_of(kfp_root, request) == "cold"
        assert await said_by(launched, request) == ("None\n" if "." in name else f"{text}\n")


async def test_other_steps_of_the_environment_run_as_they_are_written(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        argv = ["sh", "-c", prologue(PACKAGES), "python3", "-c", "import sys; print(sys.orig_argv[1])"]
        request = step(of=component(argv))
        await launched.run(request)
        assert await launched.log_of(request) == b"-c\n"
