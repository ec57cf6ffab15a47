"""
Nothing secret shows, whatever is asked, fails or breaks: in no log, error, repr, crash, file or core dump.

Secrets, tokens and credentials are all the canary, or hold it; a 200 is the one place where it may be.
"""

import asyncio
import contextlib
import hashlib
import http.client
import importlib
import inspect
import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

import secrets_cache
from secrets_cache.aws.source import AwsSource
from secrets_cache.config import Token
from secrets_cache.config.model import Problem
from secrets_cache.core.arn import Arn
from secrets_cache.core.clock import Instant
from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.secret import AwsContext, Confidential, Ref
from secrets_cache.system.clock import SystemClock
from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.container import Answer
from tests.support.fakes import CANARY, secret
from tests.support.processes import EXTENSION, Process, config
from tests.support.wrapper import plain, run
from tools.emulator import ROOT, Emulator, free_port

ROLE = "arn:aws:iam::123456789012:role/"
CONFIG = """
secrets:
- db
- {id: json, ttl: 1s}
- {id: denied, required: true}
- binary
- nothing
- {id: by-role, role_arn: "ROLEreader"}
- {id: denied-by-role, role_arn: "ROLEreader"}
- {id: by-refused-role, role_arn: "ROLErefused"}
- {id: by-garbled-role, role_arn: "ROLEgarbled"}
parameters: [/app/one, /app/denied]
allow: ["late*"]
server: {token: TOKEN}
env: [{secret: json}, {secret: denied, required: false}, {secret: db, as: WHOLE}]
""".replace("TOKEN", f"{CANARY}-token").replace("ROLE", ROLE)
TOKEN = {"X-Aws-Parameters-Secrets-Token": f"{CANARY}-token"}
PATHS = """
    /cache/db /cache/db /cache/json?key=password /cache/json?key=/a/0 /cache/json?key=missing /cache/db?key=a
    /cache/binary?key=a /cache/db?refresh=true /cache/db?version_stage=AWSPREVIOUS /cache/db?version_id=none
    /cache/denied /cache/late-1 /cache/late-garbage /cache/late-signature /cache/late-500 /cache/nothing /cache/unlisted
    /cache/db?wrong=1 /health /cache/by-role /cache/denied-by-role /cache/by-refused-role /cache/by-garbled-role
    /cache//app/one /cache//app/denied
"""
REQUESTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    *(("GET", path, TOKEN) for path in PATHS.split()),
    ("GET", "/cache/db", {}),
    ("GET", "/cache/db", {"X-Aws-Parameters-Secrets-Token": f"{CANARY}-other"}),
    ("GET", "/ping", {}),
    ("HEAD", "/cache/db", TOKEN),
    ("POST", "/cache/db", TOKEN),
    ("GET", "/cache/db", {**TOKEN, "X-Forwarded-For": CANARY}),
    ("GET", "/cache/db", {**TOKEN, "X-Other": CANARY}),
    ("GET", "/cache/db", {**TOKEN, "Cookie": "x" * 20_000}),
    (CANARY.replace("-", ""), "/cache/db", TOKEN),
)


def quoting(call: stub.Call) -> stub.Answer | None:
    """Quote, in what looks like errors of AWS's, the secret, and what was sent to ask for it."""
    everything = f"{CANARY} {call.headers}"
    (name,) = call.ids if len(call.ids) == 1 else ("",)
    token = call.headers.get("x-amz-security-token", "")
    denied = stub.aws_error("AccessDeniedException", token)
    xml = f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{token}</Message></Error></ErrorResponse>"
    return {
        "denied": denied,
        "denied-by-role": denied,
        "/app/denied": denied,
        f"{ROLE}refused": stub.Answer(403, xml.encode()),
        f"{ROLE}garbled": stub.Answer(body=f"<AssumeRoleResponse>{escape(everything)}".encode()),
        "late-garbage": stub.Answer(body=json.dumps({"SecretString": CANARY, "Name": [everything]}).encode()),
        "late-signature": stub.aws_error("InvalidSignatureException", everything),
        "late-500": stub.aws_error("InternalServiceError", everything, 500),
    }.get(name)


@pytest.fixture(name="aws")
def _aws(upstream):
    """Give a Secrets Manager that knows all the names, and that says too much."""
    upstream.put("db", CANARY)
    upstream.put("json", json.dumps({"password": CANARY, "a": [CANARY], "A=B": CANARY}))
    upstream.put("binary", CANARY.encode() + b"\xff")
    for name in ("late-1", "by-role", "by-refused-role", "by-garbled-role"):
        upstream.put(name, CANARY)
    upstream.parameters["/app/one"] = CANARY
    upstream.fault = quoting
    return upstream


def ask(port: int, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Return the status, and the whole answer as text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, headers=headers)
        with connection.getresponse() as response:
            return response.status, f"{response.headers}\n{response.read()!r}"
    finally:
        connection.close()


def ask_everything(port: int) -> Iterator[tuple[str, int, str]]:
    """Ask for all of it; give what was asked, the status and the answer."""
    for method, path, headers in REQUESTS:
        yield (f"{method} {path}", *ask(port, method, path, headers))


LIVES = {
    "fast_paths": {},
    "libraries": {"SECRETS_CACHE_LANES": "0"},
    "container": {"AWS_ACCESS_KEY_ID": ""},
    "container, libraries": {"AWS_ACCESS_KEY_ID": "", "SECRETS_CACHE_LANES": "0"},
    "debugging": {"PYTHONASYNCIODEBUG": "1", "PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": "1", "BOTO_DEBUG": "1"},
}


@pytest.mark.parametrize("environ", LIVES.values(), ids=LIVES.keys())
def test_a_life_at_debug_shows_nothing_but_in_what_a_200_is_for(api, aws, container, tmp_path, environ):
    """Every kind of request, every kind of failure, and services that quote all they know."""
    container.answers = deque([Answer(500, CANARY.encode()), Answer(body=f'{{"{CANARY}'.encode()), Answer()])
    environ = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{container.url}/",
        "SECRETS_CACHE_LOG_LEVEL": "DEBUG",
        **config(tmp_path, CONFIG),
        **environ,
    }
    with Process(EXTENSION, environ) as extension:
        extension.event("secret.required_missing")
        answers = list(ask_everything(extension.port))
        command = Path(f"/proc/{extension.process.pid}/cmdline").read_bytes()
        started_with = Path(f"/proc/{extension.process.pid}/environ").read_bytes()
        api.release.set()
        assert 0 == extension.exit_code()

    assert bool(container.asked) == (not environ.get("AWS_ACCESS_KEY_ID", "set"))
    assert {200, 400, 401, 403, 404, 405, 502, 503} <= {status for _, status, _ in answers}
    assert [] == [(what, answer) for what, status, answer in answers if CANARY in answer and status != 200]
    assert 5 < sum(CANARY in answer for _, status, answer in answers if status == 200)
    events = {line["event"] for line in extension.log.events()}
    assert {"request", "secret.refreshed", "secret.fetch_failed", "secret.required_missing"} <= events
    assert CANARY not in extension.log.text
    assert CANARY.encode() not in command
    # The platform's doing: what it was started with are the credentials, and nothing was added.
    assert {b"AWS_SECRET_ACCESS_KEY", b"AWS_SESSION_TOKEN"} == {
        entry.partition(b"=")[0] for entry in started_with.split(b"\0") if CANARY.encode() in entry
    }


def test_serve_shows_nothing_either(aws, tmp_path):
    """The same program without the Extensions API."""
    environ = {"AWS_ENDPOINT_URL": aws.url, "SECRETS_CACHE_LOG_LEVEL": "DEBUG", **config(tmp_path, CONFIG)}
    with Process(("-m", "secrets_cache", "serve"), environ) as serving:
        serving.event("serve.ready")
        answers = list(ask_everything(serving.port))
        serving.process.send_signal(signal.SIGTERM)
        assert 0 == serving.exit_code()

    assert [] == [(what, answer) for what, status, answer in answers if CANARY in answer and status != 200]
    assert CANARY not in serving.log.text


@pytest.mark.parametrize("is_beside", [True, False], ids=["beside", "alone"])
@pytest.mark.parametrize("sources", ["env", "refused", "failed"])
def test_what_the_wrapper_says_shows_nothing(api, aws, tmp_path, script, is_beside, sources):
    """Its warnings, and the one line when it fails, with an extension and without; only the runtime has the values."""
    required = "true" if sources == "failed" else "false"
    text = CONFIG.replace("required: false", f"required: {required}")
    more = {"SECRET_ARN": "json,binary"} if sources == "refused" else {}
    environ = {"AWS_ENDPOINT_URL": aws.url, "SECRETS_CACHE_LOG_LEVEL": "DEBUG", **config(tmp_path, text), **more}
    if is_beside:
        environ["AWS_LAMBDA_RUNTIME_API"] = api.address
        with Process(EXTENSION, environ) as extension:
            extension.event("extension.ready")
            done = run(script, plain(**environ))
            api.release.set()
            assert 0 == extension.exit_code()
        assert CANARY not in extension.log.text
    else:
        done = run(script, plain(**environ))

    lines = [line for line in done.stdout.splitlines() if line.startswith(b'{"time"')]
    assert (1 if sources != "env" else 0) == done.returncode
    assert CANARY.encode() not in done.stderr
    assert not [line for line in lines if CANARY.encode() in line]
    assert lines or is_beside
    assert (CANARY.encode() in done.stdout) == (done.returncode == 0)


# Crashes.


# A process survives these signals where they are sent; a fault of its own ends it.
CRASHES = {signal.SIGABRT: "os.abort()", signal.SIGSEGV: "__import__('_ctypes').call_function(1, ())"}


@pytest.mark.parametrize("number", CRASHES)
@pytest.mark.parametrize("limit", ["as it is", "of no effect"])
def test_no_core_dump_is_made(api, aws, tmp_path, tmp_path_factory, number, limit):
    """Not even where the limit does not hold, as it does not for a dump that the system pipes to a program."""
    told = tmp_path_factory.mktemp("told") / "crash"
    before = f"""
import os, resource, sys, tests.support.breaking as b
sys.path[0] = os.getcwd()
resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))
os.chdir({str(tmp_path)!r})
import threading, time
def crash():
    while not os.path.exists({str(told)!r}):
        time.sleep(0.02)
    {CRASHES[number]}
threading.Thread(target=crash, daemon=True).start()
"""
    if limit == "of no effect":
        before += "b.call_raises('resource:setrlimit', OSError(1, 'Operation not permitted'))"
    option, main, name = EXTENSION
    environ = {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_ENDPOINT_URL": aws.url, **config(tmp_path, "secrets: [db]")}
    files = set(tmp_path.iterdir())
    with Process((option, f"{before}\n{main}", name), environ) as extension:
        extension.event("extension.ready")
        told.touch()
        assert os.CLD_KILLED == how_it_dies(extension.process)
        assert -number == extension.exit_code()

    assert files == set(tmp_path.iterdir())
    assert CANARY not in extension.log.text


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY, reason="no process dumps its core here"
)
def test_a_machine_that_is_said_to_dump_cores_does(tmp_path):
    """Or else the test before this one would prove nothing."""
    code = f"""
import os, resource
resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))
os.chdir({str(tmp_path)!r})
print(flush=True)
input()"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGABRT)
        assert os.CLD_DUMPED == how_it_dies(process)


def how_it_dies(process: "subprocess.Popen[bytes]") -> int:
    """Return how waitid(2) says that the process ended."""
    found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert found is not None
    return found.si_code


READ_MEMORY = """
import os, sys
pid, what = sys.argv[1:]
if what == "fd":
    print(len([os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]))
elif what == "mem":
    start = int(open(f"/proc/{pid}/maps").read().partition("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(start)
        print(len(memory.read(16)))
else:
    print(len(open(f"/proc/{pid}/{what}", "rb").read()))
"""


@pytest.mark.parametrize("what", ["environ", "maps", "mem", "fd"])
def test_the_functions_own_code_cannot_look_into_the_extension(api, aws, tmp_path, what):
    """It runs as the same user, and would find every secret there, its own or not."""
    # Root may anything, but for this.
    under = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    environ = {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_ENDPOINT_URL": aws.url, **config(tmp_path, "secrets: [db]")}

    def look(pid: int) -> subprocess.CompletedProcess[str]:
        command = [*under, sys.executable, "-c", READ_MEMORY, str(pid), what]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    with Process(EXTENSION, environ, under=under) as extension:
        extension.event("extension.ready")
        found = look(extension.process.pid)
    with subprocess.Popen([*under, sys.executable, "-c", "print(flush=True)\ninput()"], stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        other.stdout.readline()
        of_another = look(other.pid)
        other.kill()

    assert "PermissionError" in found.stderr
    assert "" == found.stdout
    assert 0 == of_another.returncode, "not even somebody else's could be read, so this proves nothing"


# Values.


def holding_a_secret() -> Iterator[object]:
    """Give one of everything in the package that can hold a value, made with the canary wherever there is room."""
    for module in pkgutil.walk_packages(secrets_cache.__path__, "secrets_cache."):
        if module.name == "secrets_cache.__main__":
            continue
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if kind.__module__ != module.name:
                continue
            if issubclass(kind, tuple) and hasattr(kind, "_fields"):
                yield made(kind, kind._fields)
            elif issubclass(kind, Confidential) and kind is not Confidential:
                yield made(kind, kind.__slots__)
            elif kind.__name__ in {"Credentials", "Request", "Response", "Token"}:
                shape = {"status": 200, "method": "GET", "target": "/cache/db", "body": CANARY.encode()}
                shape |= {"headers": {"x": CANARY}, "result": None}
                yield kind(**{name: shape.get(name, CANARY) for name in inspect.signature(kind).parameters})


def made(kind: type, names: Sequence[str]) -> object:
    """Return a value of this kind, with a secret, or what holds one, in each field that may hold one."""
    fields = {
        "secret": secret(),
        "held": CachedValue(secret(), Instant(0, 0), 0, 0),
        "value": CANARY.encode(),
        "body": CANARY.encode(),
        **dict.fromkeys((*Arn._fields, *Problem._fields), ""),
    }
    is_config = kind.__module__.startswith("secrets_cache.config")
    hidden: dict[str, object] = {"tokens": (Token(CANARY) if is_config else CANARY,), "headers": {}}
    return kind(**{name: fields.get(name, hidden.get(name)) for name in names})


def test_no_value_shows_in_a_repr():
    """Of nothing in the package that can hold one, a traceback's line or a log field would show it."""
    shown = [(type(thing).__name__, f"{thing!r} {thing!s}") for thing in holding_a_secret()]

    values = {"Answer", "CachedValue", "CacheResult", "Request", "Response", "Secret"}
    assert values | {"AwsLayer", "Config", "Credentials", "Token"} <= {*dict(shown)}
    assert [] == [name for name, text in shown if CANARY in text]


@pytest.mark.usefixtures("fast_paths")
def test_no_value_shows_in_the_traceback_of_an_error_chain(aws):
    """Neither in what an error was raised from, nor in the lines of a whole traceback."""
    environ = {**os.environ, "AWS_ENDPOINT_URL": aws.url}
    refs = {name: Ref(name) for name in ("denied", "late-garbage", "late-signature", "late-500", "nothing")}
    for role in ("reader", "refused", "garbled"):
        refs[role] = Ref("denied-by-role", context=AwsContext("", f"{ROLE}{role}"))

    async def fail(ref: Ref) -> str:
        async with AwsSource(environ, budget_seconds=1, batch_threshold=None, clock=SystemClock()) as source:
            try:
                await source.fetch(ref)
            except Exception as error:  # noqa: BLE001 - whatever it is
                return "".join(traceback.format_exception(error))
        return ""

    told = {name: asyncio.run(fail(ref)) for name, ref in refs.items()}

    assert all(told.values())
    assert [] == [name for name, text in told.items() if CANARY in text]


# Files.


def hashes_of(folder: Path) -> dict[str, str]:
    """Return every file below a folder with the hash of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_nothing_is_written_anywhere(opt, aws, tmp_path):
    """Under the emulator, with everything in use: the layer and the function stay as they were, /tmp empty."""
    task, private = tmp_path / "task", tmp_path / "tmp"
    for folder in (task, private):
        folder.mkdir()
    (task / "config.yaml").write_text("secrets: [db, denied]\nallow: ['late*']\nenv: [{secret: db, as: WHOLE}]")
    (task / "asking.py").write_text((ROOT / "tests" / "functions" / "asking.py").read_text())
    before, others = (hashes_of(opt), hashes_of(task)), set(Path("/tmp").iterdir())
    emulator = Emulator(
        opt=opt,
        task=task,
        runtime=[sys.executable, "-B", "-m", "awslambdaric", "asking.handler"],
        environ={
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_LAMBDA_EXEC_WRAPPER": "/opt/get-secrets-layer",
            "SECRETS_CACHE_PORT": str(free_port()),
            "SECRETS_CACHE_LOG_LEVEL": "DEBUG",
            "SECRETS_CACHE_CONFIG": str(task / "config.yaml"),
            "TMPDIR": str(private),
            "HOME": str(private),
            "PYTHONASYNCIODEBUG": "1",
        },
    )
    with emulator:
        results = [emulator.invoke({"path": path}) for path in ("/cache/db", "/cache/late-1", "/cache/denied")]
        emulator.shut_down()

    assert [200, 200, 502] == [result["now"]["status"] for result in results]
    assert before == (hashes_of(opt), hashes_of(task))
    assert [] == list(private.iterdir())
    # Others on this machine may have something there.
    assert [] == [path for path in set(Path("/tmp").iterdir()) - others if holds_canary(path)]
    assert CANARY not in emulator.log.text


def holds_canary(path: Path) -> bool:
    """Return whether a file, or one below a folder, holds the canary."""
    # Others on this machine may remove theirs meanwhile.
    with contextlib.suppress(FileNotFoundError):
        files = [path, *path.rglob("*")] if path.is_dir() else [path]
        return any(CANARY.encode() in file.read_bytes() for file in files if file.is_file())
    return False
