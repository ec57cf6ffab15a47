"""
deploy.sh, run as users run it: the real AWS CLI (version 1, from PyPI; version 2 is not there) against moto's server.

Between the two stands a proxy of ours. It records what was asked, and it can change an answer into one that moto never
gives: a function that is being updated, a missing permission, variables that cannot be read.

One file over the usual length: all of it needs the same Lambda.
"""

import base64
import hashlib
import io
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.arns import Place
from secrets_cache.config import parse, values
from secrets_cache.policy import policy
from tests.conftest import PATIENCE_SECONDS
from tests.fakes import CANARY
from tools.emulator import moto_server

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "deploy.sh"
PAGE = ROOT / "docs" / "deploy.md"
CLI = ROOT / ".venv" / "deploy"
ACCOUNT = "123456789012"
LAYER = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:layer:"
WRAPPER = "/opt/get-secrets-layer"
MAX_UNPACKED = 262_144_000
NUMBERS = itertools.count(1)

# What has broken scripts that pass variables on. Keys are set one by one, so that a failure names the culprit.
NASTY = {
    "LINES": "a\nb\r\n\n",
    "QUOTES": '"\'`\\"\\n',
    "SHELL": "$HOME $(exit 7) ${x} `id` ; & | > < * ? ~ !1",
    "SEPARATORS": "=a=b,c=d,{e=f}",
    "BLANKS": "  \t x \t ",
    "UNICODE": "ü€😀\u2028\u0085\ufeff",
    "CONTROL": "\x01\x1b[31m\x7f",
    "JSON": '{"AWS_LAMBDA_EXEC_WRAPPER": "x",\n        "CACHE_TIMEOUT": "3"}',
    "LOOKS_LIKE_OURS": '\n        "CACHE_TIMEOUT": "3",\n',
    "FILE": "file:///etc/hostname",
    "URL": "https://localhost/x",
    "EMPTY": "",
    "NULL": "null",
    "NUMBER": "007",
    "PERCENT": "%s %d %%",
    "CLOSING": '"}}',
}
CHANCE = random.Random(9)  # the same in each run
UNICODE = ((1, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000))
DRAWN = {
    f"V{number}": "".join(chr(CHANCE.randrange(*CHANCE.choice(UNICODE))) for _ in range(CHANCE.randrange(1, 9)))
    for number in range(300)
}
KEPT = {"FIRST": CANARY, **NASTY, **{f"{name}_TOO": CANARY + value for name, value in NASTY.items()}, **DRAWN}


Change = Callable[[str, str, Any], Any]
Refusal = Callable[[str, str], tuple[str, str] | None]


class Proxy:
    """
    Hands on requests to moto, and changes answers.

    Attributes:
        asked: Method, path and body of each request, in order.
        change: Called with method, path and body of each answer that is a success; returns another body, or None to
            keep it.
        refuse: Called with method and path of each request; returns code and message to refuse it, or None.
    """

    def __init__(self, upstream: str) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.change: Change | None = None
        self.refuse: Refusal | None = None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                action = urllib.parse.parse_qs(body.decode("utf-8", "replace")).get("Action")
                path = f"/{action[0]}" if action and self.path == "/" else self.path
                refusal = proxy.refuse(self.command, path) if proxy.refuse else None
                if refusal:
                    code, message = refusal
                    headers = {"x-amzn-errortype": code}
                    status, answer = 400, json.dumps({"Message": message}).encode()
                    if action:  # IAM's protocol is another one
                        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                        answer = f"<ErrorResponse>{error}</ErrorResponse>".encode()
                else:
                    proxy.asked.append((self.command, path, body))
                    status, answer, headers = self.hand_on(body)
                    changed = proxy.change(self.command, path, answer) if proxy.change and status < 300 else None
                    answer = answer if changed is None else json.dumps(changed).encode()
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in {"content-length", "connection", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def hand_on(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
                request = urllib.request.Request(
                    upstream + self.path, data=body or None, method=self.command, headers=dict(self.headers)
                )
                try:
                    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                        return response.status, response.read(), dict(response.headers)
                except urllib.error.HTTPError as error:
                    with error:
                        return error.code, error.read(), dict(error.headers)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the base class's names

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def changing(self) -> list[str]:
        """Return the requests so far that change something."""
        return [f"{method} {path}" for method, path, _ in self.asked if method != "GET" and not path.startswith("/Get")]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Lambda:
    """The account that deploy.sh works on, and what it may be given."""

    def __init__(self, url: str, proxy: Proxy, folder: Path) -> None:
        self.proxy = proxy
        self.folder = folder
        self.api = boto3.client("lambda", endpoint_url=url, region_name="eu-west-1")
        self.iam = boto3.client("iam", endpoint_url=url, region_name="eu-west-1")
        self.role = self.iam.create_role(RoleName="reader", Path="/a/path/", AssumeRolePolicyDocument="{}")["Role"][
            "Arn"
        ]
        self.others = [self.publish(name, zip_of({f"{name}.txt": name})) for name in "abcdef"]

    def publish(self, name: str, data: bytes, architecture: str = "x86_64") -> str:
        """Publish a layer version; return its ARN."""
        published = self.api.publish_layer_version(
            LayerName=name, Content={"ZipFile": data}, CompatibleArchitectures=[architecture]
        )
        return str(published["LayerVersionArn"])

    def function(self, environ: Mapping[str, str] | None = None, name: str = "", **settings: Any) -> str:
        """Create a function, with a name of its own unless one is given; return the name."""
        name = name or f"function-{next(NUMBERS)}"
        made = {
            "Role": self.role,
            "Runtime": "python3.13",
            "Handler": "a.b",
            "Code": {"ZipFile": zip_of({"a.py": "b"})},
            **({} if environ is None else {"Environment": {"Variables": dict(environ)}}),
            **settings,
        }
        self.api.create_function(FunctionName=name, **made)
        return name

    def layers(self, name: str) -> list[str]:
        """Return the ARNs of a function's layers."""
        return [layer["Arn"] for layer in self.api.get_function_configuration(FunctionName=name).get("Layers", [])]

    def variables(self, name: str) -> dict[str, str]:
        """Return a function's variables."""
        found = self.api.get_function_configuration(FunctionName=name).get("Environment", {})
        return dict(found.get("Variables", {}))

    def versions(self, layer: str) -> int:
        """Return how many versions of a layer are published."""
        return len(self.api.list_layer_versions(LayerName=layer)["LayerVersions"])

    def layer_zip(self, *, wrapper: bool = True, name: str = "layer.zip", content: str = "1") -> Path:
        """Write a small zip with the entries that a layer of ours must have."""
        entries = {"extensions/secrets-cache": content, "secrets-cache/bin/python3": "an interpreter"}
        path = self.folder / name
        path.write_bytes(zip_of({**entries, "get-secrets-layer": "a wrapper"} if wrapper else entries))
        return path

    def run(
        self, *arguments: object, script: Path = SCRIPT, bash: tuple[str, ...] = (), **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run deploy.sh with a zip of ours; the environment's values must not show, whatever happens."""
        self.proxy.asked.clear()
        done = run(
            *(arguments if script != SCRIPT or "--zip" in arguments else ("--zip", self.layer_zip(), *arguments)),
            script=script,
            bash=bash,
            AWS_ENDPOINT_URL=self.proxy.url,
            **environ,
        )
        assert CANARY not in done.stdout + done.stderr
        return done


def zip_of(entries: Mapping[str, str | bytes]) -> bytes:
    """Return a zip; equal entries give equal bytes."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def run(
    *arguments: object, script: Path = SCRIPT, bash: tuple[str, ...] = (), **environ: str
) -> "subprocess.CompletedProcess[str]":
    """Run deploy.sh."""
    return subprocess.run(
        [*(bash or ("bash",)), str(script), *map(str, arguments)],
        env={
            **os.environ,
            "PATH": f"{CLI / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **environ,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def set_up_the_cli() -> None:
    """Make the environment of the AWS CLI and the other tools from its locked versions, unless it is there."""
    if not (CLI / "bin" / "aws").exists():
        subprocess.run([sys.executable, "-m", "venv", str(CLI)], check=True)
        pip = [str(CLI / "bin" / "python"), "-m", "pip", "--quiet", "install", "--require-hashes", "--requirement"]
        subprocess.run([*pip, str(ROOT / "requirements" / "deploy.txt")], check=True)


@pytest.fixture(scope="module", name="account")
def _account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lambda]:
    set_up_the_cli()
    with moto_server() as url, Proxy(url) as proxy:
        yield Lambda(url, proxy, tmp_path_factory.mktemp("deploy"))


@pytest.fixture(autouse=True)
def _unchanged_answers(request) -> Iterator[None]:
    """Let each test begin and end with moto's own answers."""
    yield
    if "account" in request.fixturenames:
        proxy = request.getfixturevalue("account").proxy
        proxy.change = proxy.refuse = None


# The command line.


def options_of(text: str) -> set[str]:
    """Return the long options that a text names."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


def test_help_and_the_page_have_the_same_options():
    """Each option of --help has its heading in docs/deploy.md, with the same argument, and no other one has."""
    done = run("--help")
    shown = set(re.findall(r"^  (--[a-z-]+(?: [A-Z]+)?)  ", done.stdout, re.MULTILINE))

    assert (0, "") == (done.returncode, done.stderr)
    assert len(shown) > 10
    assert shown == set(re.findall(r"^### `(--.+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_help_names_every_option_that_is_read():
    """What the script takes is what it shows."""
    source = SCRIPT.read_text(encoding="utf-8")
    loop = source[source.index("while [ $# -gt 0 ]") : source.index("  shift\ndone")]

    assert options_of(run("--help").stdout) == options_of(loop)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no function is named"),
        (["--dry-run"], "no function is named"),
        (["--nonsense", "f"], "'--nonsense'"),
        (["--account=", "f"], "'--account='"),
        (["--zip"], "--zip needs a value"),
        (["--cache-timeout", "soon", "f"], "found 'soon'; allowed: a number of minutes"),
        (["--account", "12345678901", "f"], "found '12345678901'; allowed: the 12 digits"),
        (["--layer-name", "a b", "f"], "found 'a b'; allowed: 1 to 140"),
        (["--layer-name", "it's", "f"], "allowed: 1 to 140"),
        (["--region", "Ireland", "f"], "found 'Ireland'; allowed: an AWS region"),
        (["a function"], "found 'a function'; allowed: the name or the ARN"),
        (["--", "--help"], None),
        (["--remove", "--public", "f"], "--remove does not go with"),
        (["--remove", "--account", ACCOUNT, "f"], "--remove does not go with"),
    ],
)
def test_wrong_usage_ends_with_2_before_anything_is_asked(arguments, said):
    """And says what was found and what is allowed."""
    done = run(*arguments, AWS_ENDPOINT_URL="http://127.0.0.1:9")

    assert (2, "") == (done.returncode, done.stdout) or said is None
    assert (said or "no such function") in done.stderr or said is None


@pytest.fixture(name="without_cli")
def _without_cli(tmp_path) -> str:
    """Give a PATH with what the script needs, but no AWS CLI."""
    for program in ("bash", "dirname", "cat", "awk", "sed", "unzip", "mktemp", "rm"):
        found = shutil.which(program)
        assert found is not None
        (tmp_path / program).symlink_to(found)
    return str(tmp_path)


def test_without_the_aws_cli(without_cli):
    """Said in one line, with the place to have it from."""
    done = run("f", PATH=without_cli, bash=(f"{without_cli}/bash",))

    assert (1, "") == (done.returncode, done.stdout)
    assert "needs the program 'aws'" in done.stderr


@pytest.mark.parametrize(
    "text", ["0", "0.0", "0.5", ".5", "5.", "007", "43200", "43200.1", "-1", "+1", "1e3", "1,5", "5m", "0x10", "٣"]
)
def test_minutes_are_those_that_the_extension_takes(text, without_cli):
    """--cache-timeout allows what CACHE_TIMEOUT allows."""
    try:
        values.TTL_MINUTES.parse(text)
        expected = 1
    except values.Unacceptable:
        expected = 2

    assert expected == run("--cache-timeout", text, "f", PATH=without_cli, bash=(f"{without_cli}/bash",)).returncode


# Deploying.


def test_a_function_gets_the_layer_and_keeps_everything_else(account, tmp_path):
    """Other layers and their order, variables of any content, all other settings. Again: nothing is changed."""
    name = account.function(KEPT, Layers=account.others[1::-1], MemorySize=512, Timeout=77, Description="mine")
    before = account.api.get_function_configuration(FunctionName=name)
    log = tmp_path / "arguments"
    aws = tmp_path / "aws"
    aws.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >>{log}\nfind {tmp_path} -type f >>{log}.files\nexec {CLI}/bin/aws "$@"\n'
    )
    aws.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    done = account.run("--cache-timeout", "2.5", name, PATH=path, TMPDIR=str(tmp_path), LC_ALL="C")

    after = account.api.get_function_configuration(FunctionName=name)
    layer = account.layers(name)[-1]
    assert (0, "") == (done.returncode, done.stderr)
    assert layer.startswith(f"{LAYER}secrets-cache:")
    assert [*account.others[1::-1], layer] == account.layers(name)
    assert {**KEPT, "CACHE_TIMEOUT": "2.5"} == account.variables(name)
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    assert {"Layers", "Environment", "LastUpdateStatus"} >= changed - {"ResponseMetadata", "LastModified", "RevisionId"}
    assert CANARY not in log.read_text(encoding="utf-8"), "a value in an argument"
    assert {str(path) for path in (log, aws, Path(f"{log}.files"))} == {str(p) for p in tmp_path.iterdir()}
    assert [f"  keep layer {arn}" for arn in account.others[1::-1]] == done.stdout.splitlines()[1:3]
    assert "  done: State Active, LastUpdateStatus Successful" == done.stdout.splitlines()[-1]

    again = account.run("--cache-timeout", "2.5", name)

    assert (0, "") == (again.returncode, again.stderr)
    assert [] == account.proxy.changing()
    assert "is so already: nothing was changed" in again.stdout


def test_what_is_published_is_the_zip(account):
    """With its architecture and licence; one version for all functions, and none if the newest is the same."""
    layer = "--layer-name=published"
    names = [account.function(), account.function(Layers=[account.others[0]])]
    done = account.run(layer, *names)
    (version,) = account.api.list_layer_versions(LayerName="published")["LayerVersions"]
    found = account.api.get_layer_version(LayerName="published", VersionNumber=1)
    digest = base64.b64encode(hashlib.sha256(account.layer_zip().read_bytes()).digest()).decode()

    assert (0, "") == (done.returncode, done.stderr)
    assert digest == found["Content"]["CodeSha256"]
    assert ["x86_64"] == found["CompatibleArchitectures"]
    assert "Apache-2.0" == version["LicenseInfo"]
    assert [[f"{LAYER}published:1"], [account.others[0], f"{LAYER}published:1"]] == [account.layers(n) for n in names]
    assert {} == account.variables(names[0])


def test_an_older_version_is_replaced_where_it_stands(account):
    """Others keep their places, a second one of ours goes; another account's layer of our name is ours as well."""
    old = account.publish("replaced", zip_of({"extensions/secrets-cache": "old"}))
    name = account.function(Layers=[account.others[0], old, account.others[1]])

    done = account.run("--layer-name", "replaced", name)

    assert 0 == done.returncode
    assert [account.others[0], f"{LAYER}replaced:2", account.others[1]] == account.layers(name)
    assert f"  take out layer {old}" in done.stdout.splitlines()


def test_each_architecture_has_its_own_versions(account):
    """The newest version for the other architecture counts for nothing; without --zip, the zip in dist is taken."""
    copy = account.folder / "project" / "deploy.sh"
    (copy.parent / "dist").mkdir(parents=True)
    shutil.copy(SCRIPT, copy)
    for architecture in ("x86_64", "arm64"):
        built = account.layer_zip(content=architecture)
        shutil.copy(built, copy.parent / "dist" / f"secrets-cache-layer-{architecture}.zip")
    intel, arm = account.function(), account.function(Architectures=["arm64"])

    first = account.run("--layer-name=both", intel, arm, script=copy)
    again = account.run("--layer-name=both", arm, intel, script=copy)

    assert [0, 0] == [first.returncode, again.returncode]
    assert [[f"{LAYER}both:1"], [f"{LAYER}both:2"]] == [account.layers(intel), account.layers(arm)]
    assert f"{arm} (arm64, eu-west-1)" in first.stdout.splitlines()
    assert [] == account.proxy.changing()
    assert 2 == account.versions("both")


def test_a_dry_run_changes_nothing_and_says_what_it_would(account):
    """Every kind of change is named; only reading requests are made."""
    config = account.folder / "dry.yaml"
    config.write_text("secrets: [dry]", encoding="utf-8")
    old = account.publish("dry", zip_of({"extensions/secrets-cache": "old"}))
    name = account.function({"CACHE_TIMEOUT": CANARY, "OTHER": CANARY}, Layers=[old])

    done = account.run(
        *("--layer-name=dry", "--dry-run", "--cache-timeout=7", "--exec-wrapper", f"--grant={config}", "--public", name)
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert [] == account.proxy.changing()
    for line in (
        f"take out layer {old}",
        f"add layer dry, a new version from {account.folder / 'layer.zip'}",
        "let everyone use the layer version",
        f"let role reader read what {config} lists, by the inline policy secrets-cache-{name}",
        "change variable CACHE_TIMEOUT to 7",
        f"set variable AWS_LAMBDA_EXEC_WRAPPER to {WRAPPER}",
        "keep all other variables (1)",
        "this was a dry run: nothing was changed",
    ):
        assert f"  {line}" in done.stdout.splitlines()


def test_the_wrapper_is_set_and_taken_out_again(account):
    """--exec-wrapper sets the variable; --remove takes out layer and variable. Not even `bash -x` shows values."""
    trace = ("bash", "-x")
    name = account.function(KEPT, Layers=account.others[:2])
    done = account.run("--exec-wrapper", "--cache-timeout", "5", name, bash=trace, LC_ALL="C")

    assert 0 == done.returncode
    assert {**KEPT, "AWS_LAMBDA_EXEC_WRAPPER": WRAPPER, "CACHE_TIMEOUT": "5"} == account.variables(name)

    kept = account.run("--remove", "--cache-timeout", "6", name, bash=trace)

    assert 0 == kept.returncode
    assert {**KEPT, "CACHE_TIMEOUT": "5"} == account.variables(name)
    assert account.others[:2] == account.layers(name)
    assert "  keep variable CACHE_TIMEOUT, which is not 6" in kept.stdout.splitlines()

    assert 0 == account.run("--remove", "--cache-timeout", "5", name, bash=trace, LC_ALL="C").returncode
    assert KEPT == account.variables(name)


def test_removing_the_only_layer_and_the_only_variables(account):
    """Nothing of ours is left, not even where nothing else is. Again: nothing is changed."""
    ours = {"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER, "CACHE_TIMEOUT": "5"}
    name = account.function(ours, Layers=[account.publish("only", account.layer_zip().read_bytes())])

    assert 0 == account.run("--layer-name=only", "--remove", "--cache-timeout=5", name).returncode
    assert ([], {}) == (account.layers(name), account.variables(name))

    again = account.run("--layer-name=only", "--remove", "--cache-timeout=5", name)

    assert (0, []) == (again.returncode, account.proxy.changing())
    assert "is so already: nothing was changed" in again.stdout


@settings(deadline=None, max_examples=60)
@given(
    kept=st.dictionaries(
        st.from_regex(r"[A-Z]\w{0,4}", fullmatch=True).filter(str.isascii),
        st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(sorted(NASTY.values())),
    ),
    taken=st.sets(st.sampled_from(["CACHE_TIMEOUT", "AWS_LAMBDA_EXEC_WRAPPER"]), min_size=1),
    places=st.randoms(use_true_random=False),
    ascii_only=st.booleans(),
)
def test_a_variable_is_left_out_wherever_it_stands(kept, taken, places, ascii_only):
    """First, last or only; all others stay, in their order. The JSON is as the CLI writes it."""
    items = [*kept.items(), *((name, "5") for name in sorted(taken))]
    places.shuffle(items)
    text = json.dumps({"Variables": dict(items)}, indent=4, ensure_ascii=ascii_only)

    left = json.loads(without_variables(text, *sorted(taken)))

    assert [item for item in items if item[0] not in taken] == list(left["Variables"].items())


@pytest.mark.parametrize("text", ["", '{"Variables": {"CACHE_TIMEOUT": "5"}}', '{\n    "Variables": {}\n}'])
def test_nothing_is_sent_unless_the_variable_was_found(text):
    """Text of another form gives nothing at all, which the CLI refuses: the function stays as it is."""
    assert "" == without_variables(text, "CACHE_TIMEOUT")


def without_variables(text: str, *names: str) -> str:
    """Run that one part of the script."""
    source = SCRIPT.read_text(encoding="utf-8")
    part = source[source.index("without_variables() {") :]
    part = part[: part.index("\n}\n") + 3]
    done = subprocess.run(
        ["bash", "-c", f'{part} without_variables "$1"', "-", " ".join(names)],
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def test_one_that_fails_stops_no_other(account):
    """All others are done; the exit code is 1, and the last line counts."""
    first, last = account.function(), account.function()

    done = account.run(first, "no-such-function", last)

    assert 1 == done.returncode
    assert 1 == len(account.layers(first)) == len(account.layers(last))
    assert "no-such-function: no such function in this region and account" in done.stderr
    assert "deploy.sh: 1 of 3 functions were refused or failed, as said above" == done.stderr.splitlines()[-1]


def test_a_function_by_its_arn_in_a_region_by_option(account):
    """--region beats the environment."""
    name = account.function()
    arn = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{name}"

    done = account.run("--region", "eu-west-1", arn, AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1")

    assert 0 == done.returncode
    assert 1 == len(account.layers(name))


def test_the_profile_is_handed_on(account):
    """A profile that the CLI does not have is the CLI's own error."""
    done = account.run("--profile", "nobody", account.function())

    assert 1 == done.returncode
    assert "nobody" in done.stderr


def test_the_page_shows_what_is_printed(account):
    """The commands of docs/deploy.md print what stands below them; so does the first one, run again."""
    project = account.folder / "secrets-cache"
    (project / "dist").mkdir(parents=True)
    shutil.copy(SCRIPT, project)
    shutil.copy(account.layer_zip(), project / "dist" / "secrets-cache-layer-x86_64.zip")
    for name in (".venv", "tools", "secrets_cache", "example_function"):
        (project / name).symlink_to(ROOT / name)
    role = account.iam.create_role(RoleName="orders-role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    tracing = account.publish("tracing", zip_of({"a": "b"}))
    account.function({"A": "1", "B": "2"}, Layers=[tracing], Role=role, name="orders-api")
    page = PAGE.read_text(encoding="utf-8")
    commands = re.findall(r"^\./deploy\.sh (.+)$", page, re.MULTILINE)
    shown = [
        text for text in re.findall(r"^```text\n(.+?)^```$", page, re.MULTILINE | re.DOTALL) if "orders-api" in text
    ]

    assert (2, 3) == (len(commands), len(shown))
    for command, text in zip([commands[0], *commands], shown, strict=True):
        arguments = command.replace("example_function", str(project / "example_function")).split()
        done = account.run("--layer-name=page", *arguments, script=project / "deploy.sh")
        printed = done.stdout.replace(f"{project}/example", "example")
        printed = re.sub(r"\bpage\b", "secrets-cache", printed)  # other tests have published under the usual name

        assert (0, "") == (done.returncode, done.stderr)
        assert text == printed


# What is sent.


def test_only_what_differs_is_sent_and_only_for_the_version_that_was_seen(account):
    """With the layer alone, no variable leaves Lambda; RevisionId lets Lambda refuse what would undo another change."""
    name = account.function(KEPT)
    account.proxy.change = with_settings(RevisionId="seen")

    account.run(name)

    (body,) = (json.loads(body) for method, _, body in account.proxy.asked if method == "PUT")
    assert {"Layers": account.layers(name), "RevisionId": "seen"} == body


def with_settings(**changed: Any) -> Change:
    """Return a change that gives functions other settings."""

    def change(method: str, path: str, body: bytes) -> Any:
        return {**json.loads(body), **changed} if method == "GET" and path.endswith("/configuration") else None

    return change


# Refusals.


def refused(account: Lambda, *arguments: object, said: str) -> None:
    """Check that a run is refused with these words, and that it changed nothing."""
    done = account.run(*arguments)

    assert 1 == done.returncode
    assert said in done.stderr
    assert [] == account.proxy.changing()


def test_five_layers_already(account):
    """Refused; with ours among the five, it is replaced."""
    full = account.function(Layers=account.others[:5])
    refused(account, full, said="has 5 other layers already; allowed: 5 layers, ours included")

    old = account.publish("fifth", zip_of({"extensions/secrets-cache": "old"}))
    with_ours = account.function(Layers=[*account.others[:4], old])
    assert 0 == account.run("--layer-name=fifth", with_ours).returncode
    assert [*account.others[:4], f"{LAYER}fifth:2"] == account.layers(with_ours)


def test_more_than_250_mb(account):
    """Our unpacked size and the zipped size of the rest are what can be known; one byte more is refused."""
    name = account.function(Layers=account.others[:1])
    settings = account.api.get_function_configuration(FunctionName=name)
    known = settings["CodeSize"] + settings["Layers"][0]["CodeSize"]
    big = account.folder / "big.zip"

    big.write_bytes(zip_of({"extensions/secrets-cache": bytes(MAX_UNPACKED - known + 1)}))
    refused(account, "--zip", big, "--layer-name=big", name, said="more than 250 MB unpacked")

    big.write_bytes(zip_of({"extensions/secrets-cache": bytes(MAX_UNPACKED - known)}))
    assert 0 == account.run("--zip", big, "--layer-name=big", "--dry-run", name).returncode


def test_functions_that_cannot_have_a_layer(account):
    """Images, with the way that they have; and published versions."""
    image = account.function(
        Runtime="", Handler="", PackageType="Image", Code={"ImageUri": f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/a:b"}
    )
    refused(account, image, said="is a container image, and Lambda adds no layers to those")
    refused(account, "--remove", image, said="example_function/Dockerfile")

    versioned = account.function()
    account.api.publish_version(FunctionName=versioned)
    refused(account, f"{versioned}:1", said="is the published version 1")


def test_a_zip_that_is_not_there_or_not_the_right_one(account):
    """Named, with the command that makes it."""
    name, arm = account.function(), account.function(Architectures=["arm64"])
    alone = account.folder / "alone" / "deploy.sh"
    alone.parent.mkdir()
    shutil.copy(SCRIPT, alone)
    for function, architecture in ((name, "x86_64"), (arm, "arm64")):
        done = account.run(function, script=alone)
        assert 1 == done.returncode
        assert f"there is no {alone.parent}/dist/secrets-cache-layer-{architecture}.zip yet" in done.stderr
        assert f"make layer ARCH={architecture}" in done.stderr
    other = account.folder / "other.zip"
    other.write_bytes(zip_of({"python/a.py": "a"}))
    refused(account, "--zip", other, name, said=f"found '{other}'; allowed: the zip of a secrets-cache layer")
    refused(account, "--zip", SCRIPT, name, said="allowed: the zip of a secrets-cache layer")
    refused(account, "--zip", account.folder / "none.zip", name, said="allowed: the zip of a secrets-cache layer")
    refused(account, "--zip", account.layer_zip(name="l-arm64.zip"), name, said="allowed: one for x86_64")
    assert "allowed: functions of one architecture" in account.run("--layer-name=one", name, arm).stderr


def test_a_wrapper_that_is_not_in_the_zip_or_that_is_another_one(account):
    """Either would stop the function, or what it runs through today."""
    bare = account.layer_zip(wrapper=False, name="bare.zip")
    refused(account, "--zip", bare, "--exec-wrapper", account.function(), said="bare.zip' has no get-secrets-layer")
    uses_ours = account.function({"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER})
    refused(account, "--zip", bare, uses_ours, said="bare.zip' has no get-secrets-layer")
    uses_another = account.function({"AWS_LAMBDA_EXEC_WRAPPER": f"/opt/{CANARY}"})
    refused(account, "--exec-wrapper", uses_another, said="names another wrapper already")
    assert 0 == account.run("--zip", bare, "--dry-run", uses_another).returncode


@pytest.mark.parametrize("changed", [{"State": "Pending"}, {"LastUpdateStatus": "InProgress"}])
def test_a_function_that_is_being_updated(account, changed):
    """Lambda would refuse; so do we, before a layer is published. moto's functions are always ready: the proxy."""
    name = account.function()
    account.proxy.change = with_settings(**changed)

    refused(account, "--layer-name=early", name, said="is being updated at the moment")


def test_variables_that_cannot_be_read(account):
    """Sent back, they would be lost: refused. With the layer alone, nothing is sent, and so they are safe."""
    name = account.function()
    error = {"Error": {"ErrorCode": "AccessDeniedException", "Message": "kms:Decrypt"}}
    account.proxy.change = with_settings(Environment=error)

    refused(account, "--cache-timeout=5", name, said="its environment variables cannot be read (AccessDeniedException)")
    refused(account, "--remove", name, said="kms:Decrypt on the key")
    done = account.run(name)
    assert (0, "") == (done.returncode, done.stderr)
    assert "  keep all other variables (unreadable, and not sent)" in done.stdout.splitlines()
    assert 1 == len(account.layers(name))


@pytest.mark.parametrize(
    ("method", "path", "permission", "options"),
    [
        ("GET", "/configuration$", "lambda:GetFunctionConfiguration", []),
        ("GET", "/versions($|\\?)", "lambda:ListLayerVersions", []),
        ("GET", "/versions/[0-9]+$", "lambda:GetLayerVersion", []),
        ("POST", "/versions$", "lambda:PublishLayerVersion", ["--layer-name=unpublished"]),
        ("PUT", "/configuration$", "lambda:UpdateFunctionConfiguration", []),
        ("GET", "/policy$", "lambda:GetLayerVersionPolicy", ["--public"]),
        ("POST", "/policy$", "lambda:AddLayerVersionPermission", ["--public"]),
        ("POST", "/GetRolePolicy$", "iam:GetRolePolicy", ["--grant=example_function/config.yaml"]),
        ("POST", "/PutRolePolicy$", "iam:PutRolePolicy", ["--grant=example_function/config.yaml"]),
    ],
)
def test_a_missing_permission_is_named(account, monkeypatch, method, path, permission, options):
    """The one that the call needs; the function is not changed. moto checks none here: the proxy."""
    monkeypatch.chdir(ROOT)
    if not account.versions("permissions"):
        account.publish("permissions", account.layer_zip().read_bytes())
    name = account.function()
    account.proxy.refuse = lambda asked, where: (
        ("AccessDeniedException", "User: me is not authorized.") if asked == method and re.search(path, where) else None
    )

    done = account.run("--layer-name=permissions", *options, name)

    assert 1 == done.returncode
    assert f"{name}: missing permission {permission}: " in done.stderr
    assert [] == account.layers(name)


REFUSED_UPDATES: list[tuple[str, str, str]] = [
    ("InvalidParameterValueException", f"exceeded the 4KB limit. String measured: {CANARY}", "the 4KB limit."),
    ("InvalidParameterValueException", f'too long: {{"A":"{CANARY}"}}', "too long:"),
    ("InvalidParameterValueException", f"exceeds the maximum of {MAX_UNPACKED} bytes", "more than 250 MB unpacked"),
    (
        "AccessDeniedException",
        "User: me is not authorized to perform: lambda:GetLayerVersion on: x",
        "GetLayerVersion:",
    ),
    ("PreconditionFailedException", "The RevisionId provided does not match", "somebody else changed it"),
    ("ResourceConflictException", "An update is in progress for resource", "somebody else changed it"),
]


def test_updates_that_lambda_refuses(account):
    """What is said is Lambda's reason, without the variables that Lambda puts into some messages."""
    cases = {account.function(KEPT): case for case in REFUSED_UPDATES}
    words = {name: case[:2] for name, case in cases.items()}
    account.proxy.refuse = lambda method, path: words[path.split("/")[-2]] if method == "PUT" else None

    done = account.run("--cache-timeout=5", *cases)

    assert 1 == done.returncode
    for name, (_, _, said) in cases.items():
        (line,) = (line for line in done.stderr.splitlines() if f" {name}: " in line)
        assert said in line
        assert KEPT == account.variables(name)


def test_an_update_that_fails_later(account):
    """What Lambda says after the wait is told, and counts."""
    name = account.function()
    asked = itertools.count()

    failed = with_settings(LastUpdateStatus="Failed", LastUpdateStatusReason="no more room")
    account.proxy.change = lambda *answer: failed(*answer) if next(asked) > 2 else None
    done = account.run(name)

    assert 1 == done.returncode
    assert "LastUpdateStatus Failed, no more room" in done.stderr


# Sharing.


def test_sharing_is_done_once(account):
    """A statement for each account and one for everyone; again: nothing is changed."""
    name = account.function()
    options = ("--layer-name=shared", "--account=111122223333", name)

    assert 0 == account.run(*options).returncode
    assert ["111122223333"] == shared_with(account)
    assert 0 == account.run("--public", "--account", "444455556666", *options).returncode
    assert ["*", "111122223333", "444455556666"] == shared_with(account)
    assert 0 == account.run("--public", "--account", "444455556666", *options).returncode
    assert [] == account.proxy.changing()


def shared_with(account: Lambda) -> list[str]:
    """Return who may use the layer."""
    found = json.loads(account.api.get_layer_version_policy(LayerName="shared", VersionNumber=1)["Policy"])
    assert {"lambda:GetLayerVersion"} == {statement["Action"] for statement in found["Statement"]}
    return sorted(statement["Principal"] for statement in found["Statement"])


# The role.


def inline_policy(account: Lambda, name: str) -> Any:
    """Return the role's inline policy for a function; None if there is none."""
    try:
        found = account.iam.get_role_policy(RoleName="reader", PolicyName=f"secrets-cache-{name}")
    except account.iam.exceptions.NoSuchEntityException:
        return None
    return found["PolicyDocument"]


def policy_of(text: str) -> dict[str, Any]:
    """Return the policy for a configuration."""
    return policy(parse(text.encode(), file="config.yaml", environ={}), Place("eu-west-1", ACCOUNT))


def test_grant_puts_the_policy_of_the_configuration(account):
    """Once; again when the file has changed; --remove with the same option takes it out."""
    config = account.folder / "config.yaml"
    config.write_text("secrets: [db]", encoding="utf-8")
    name = account.function()

    assert 0 == account.run("--grant", config, name).returncode
    assert policy_of("secrets: [db]") == inline_policy(account, name)
    assert 0 == account.run("--grant", config, name).returncode
    assert [] == account.proxy.changing()
    config.write_text("secrets: [db, pin]", encoding="utf-8")
    assert 0 == account.run("--grant", config, name).returncode
    assert policy_of("secrets: [db, pin]") == inline_policy(account, name)
    assert 0 == account.run("--remove", "--grant", config, name).returncode
    assert inline_policy(account, name) is None


def test_grant_refuses_a_configuration_with_a_problem(account, tmp_path):
    """It might grant less than what is meant. So does a file that lists nothing, or that is not there."""
    config = tmp_path / "config.yaml"
    for text, said in (("secretes: [db]", "secretes"), ("ttl: 5m", "found no secret"), (None, "no such file")):
        config.unlink(missing_ok=True)
        if text is not None:
            config.write_text(text, encoding="utf-8")
        refused(account, "--grant", config, account.function(), said=said)


def test_grant_needs_the_projects_python(account):
    """Without it, one line says how to have it."""
    alone = account.folder / "lonely" / "deploy.sh"
    alone.parent.mkdir()
    shutil.copy(SCRIPT, alone)

    done = account.run("--zip", account.layer_zip(), "--grant=config.yaml", account.function(), script=alone)

    assert 1 == done.returncode
    assert "run 'make test' or 'make layer' first" in done.stderr
    assert [] == account.proxy.changing()
