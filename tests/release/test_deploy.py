"""
deploy.sh, run as users run it: the real AWS CLI (version 1, from PyPI; version 2 is not there) against moto's server.

Between the two stands a proxy of ours. It records what was asked, and it can change an answer into one that moto never
gives: a function that is being updated, a missing permission, variables that cannot be read.

One file over the usual length: all of it needs the same Lambda.
"""

import base64
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.cli.iam_resources import Place
from secrets_cache.cli.policy_document import build_policy
from secrets_cache.config import parse, values
from tests.support.aws_cli import CLI, Change, aws_folder, set_up_the_cli, zip_of
from tests.support.deploying import PROGRAMS, SCRIPT, Lambda, folder_with, run
from tests.support.fakes import CANARY
from tools.emulator import ROOT

PAGE = ROOT / "docs" / "deploy.md"
ACCOUNT = "123456789012"
LAYER = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:layer:"
WRAPPER = "/opt/get-secrets-layer"
MAX_UNPACKED = 262_144_000

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


# The command line.


def options_of(text: str) -> set[str]:
    """Return the long options that a text names."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


def test_help_the_page_and_the_script_have_the_same_options():
    """Each option of --help has its heading in docs/deploy.md, with the same argument, and is read; no other is."""
    done = run("--help")
    shown = set(re.findall(r"^  (--[a-z-]+(?: [A-Z]+)?)  ", done.stdout, re.MULTILINE))
    source = SCRIPT.read_text(encoding="utf-8")
    loop = source[source.index("while [ $# -gt 0 ]") : source.index("  shift\ndone")]

    assert (0, "") == (done.returncode, done.stderr)
    assert options_of(done.stdout) == options_of(loop)
    assert len(shown) > 10
    assert shown == set(re.findall(r"^### `(--.+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no function given"),
        (["--dry-run"], "no function given"),
        (["--nonsense", "f"], "'--nonsense'"),
        (["--account=", "f"], "'--account='"),
        (["--zip"], "--zip needs a value"),
        (["--cache-timeout", "soon", "f"], "found 'soon'; allowed: a number of minutes"),
        (["--account", "12345678901", "f"], "found '12345678901'; allowed: the 12 digits"),
        (["--layer-name", "a b", "f"], "found 'a b'; allowed: 1 to 140"),
        (["--layer-name", "it's", "f"], "allowed: 1 to 140"),
        (["--region", "Ireland", "f"], "found 'Ireland'; allowed: an AWS region"),
        (["a function"], "found 'a function'; allowed: the name or the ARN"),
        (["--remove", "--public", "f"], "--remove cannot be combined with --account or --public"),
        (["--remove", "--account", ACCOUNT, "f"], "--remove cannot be combined with --account or --public"),
        (["--remove", "--replace", "x", "f"], "--remove cannot be combined with --replace"),
        (["--replace", "a b", "f"], "found 'a b'; allowed: the name or the ARN of a layer"),
        (["--replace", "secrets-cache", "f"], "'secrets-cache' is this layer"),
        (["--layer-name=mine", f"--replace={LAYER}mine:2", "f"], "is this layer, whose other versions are replaced"),
        (["--release", "latest", "f"], "found 'latest'; allowed: a version such as 0.2.0"),
        (["--release=1.2", "f"], "found '1.2'; allowed: a version such as 0.2.0"),
        (["--release", "1.2.3/../../x", "f"], "allowed: a version such as 0.2.0"),
        (["--release", "01.2.3", "f"], "allowed: a version such as 0.2.0"),
        (["--release"], "--release needs a value"),
        (["--release", "1.2.3", "--zip", "z.zip", "f"], "--release and --zip cannot be combined"),
        (["--remove", "--zip", "z.zip", "--release", "1.2.3", "f"], "--release and --zip cannot be combined"),
    ],
)
def test_wrong_usage_ends_with_2_before_anything_is_asked(arguments, said):
    """And says what was found and what is allowed."""
    done = run(*arguments, AWS_ENDPOINT_URL="http://127.0.0.1:9")

    assert (2, "") == (done.returncode, done.stdout)
    assert said in done.stderr


@pytest.fixture(name="without_cli")
def _without_cli(tmp_path) -> str:
    """Give a PATH with what the script needs, but no AWS CLI."""
    return folder_with(tmp_path / "bin", *PROGRAMS)


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("aws", "install the AWS CLI: https://aws.amazon.com/cli"),
        ("unzip", "install it with your system's package manager"),
        ("sha256sum", "install it, or sha256sum, with your system's package manager"),
        ("curl", "install it, or download the layer's zip with a browser and use --zip"),
    ],
)
def test_a_program_that_is_missing(tmp_path, missing, advice):
    """Named in one line, with what to do; of sha256sum and shasum, either will do. curl is for --release only."""
    set_up_the_cli()
    path = folder_with(tmp_path / "bin", *{*PROGRAMS, "aws"} - {missing})

    done = run("--release=1.2.3", "f", PATH=path, bash=(f"{path}/bash",))

    named = {"sha256sum": "shasum"}.get(missing, missing)
    assert (1, "") == (done.returncode, done.stdout)
    assert f"deploy.sh: the program '{named}' is needed, and is not in PATH; {advice}\n" == done.stderr


def test_a_temporary_folder_that_is_not_there():
    """Said in one line, with the variable that sets another."""
    set_up_the_cli()
    done = run("f", TMPDIR="/nonexistent")

    assert (1, "") == (done.returncode, done.stdout)
    assert (
        "deploy.sh: cannot create a folder in '/nonexistent'; set TMPDIR to a folder that you can write to\n"
        == done.stderr
    )


# What came with bash 4 and later, each with an example.
NEWER = {
    r"\b(declare|local|typeset) -[a-zA-Z]*[Ang]": "declare -A x",
    r"\b(mapfile|readarray|coproc)\b": "mapfile -t x",
    r"\$\{[^}]*(\^|,,|@[A-Za-z]\})": "${x^^}",
    r"\|&|&>>": "x |& y",
    r";;?&": "x ;;&",
    r"\[ -v |\bwait -n": "[ -v x ]",
    r"printf '?%\(|\bEPOCHSECONDS|\bEPOCHREALTIME": "printf '%(%F)T'",
    r"\{[a-z]+\}>": "exec {out}>x",
    r"\$\{[A-Za-z_]+: -|\[-1\]": "${x: -1}[-1]",
    r"\bshopt -s (globstar|lastpipe|inherit_errexit)": "shopt -s lastpipe",
}


@pytest.mark.parametrize(("newer", "example"), NEWER.items())
def test_nothing_needs_a_bash_newer_than_that_of_macos(newer, example):
    """MacOS has 3.2. All tests of deploy.sh run with another bash by SECRETS_CACHE_TEST_BASH."""
    assert re.search(newer, example)
    assert not re.search(newer, SCRIPT.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text", ["0", "0.0", "0.5", ".5", "5.", "007", "43200", "43200.1", "-1", "+1", "1e3", "1,5", "5m", "0x10", "٣"]
)
def test_minutes_are_those_that_the_extension_takes(text, without_cli):
    """--cache-timeout allows what CACHE_TIMEOUT allows."""
    try:
        values.TTL_MINUTES.parse(text)
        expected = 1
    except values.InvalidValue:
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
        f'#!/bin/sh\nprintf "%s\\n" "$@" >>{log}\nfind {tmp_path} -type f >>{log}.files\nexec {aws_folder()}/aws "$@"\n'
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
    assert "  already up to date: nothing was changed" in again.stdout.splitlines()


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
    assert f"  remove layer {old}" in done.stdout.splitlines()


AWS_LAYER = "AWS-Parameters-and-Secrets-Lambda-Extension"


@pytest.mark.parametrize("form", [AWS_LAYER, f"{AWS_LAYER}:1", f"{LAYER}{AWS_LAYER}", f"{LAYER}{AWS_LAYER}:1"])
def test_another_layer_is_replaced_in_one_update(account, form):
    """By its name or ARN, with a version or without; ours takes its place. Again: nothing is changed."""
    variables = {**KEPT, "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "2773"}
    name = account.function(variables, Layers=[account.others[0], awss_layer(account), account.others[1]])
    options = ("--layer-name=instead", f"--replace={form}")

    tried = account.run("--dry-run", *options, name)

    assert (0, "", []) == (tried.returncode, tried.stderr, account.proxy.changing())
    assert f"  remove layer {LAYER}{AWS_LAYER}:1" in tried.stdout.splitlines()
    assert "warning" not in tried.stdout

    done = account.run(*options, name)

    assert (0, "") == (done.returncode, done.stderr)
    assert [account.others[0], f"{LAYER}instead:1", account.others[1]] == account.layers(name)
    assert variables == account.variables(name)
    assert 1 == sum(method == "PUT" for method, _, _ in account.proxy.asked)

    again = account.run(*options, name)

    assert (0, "", []) == (again.returncode, again.stderr, account.proxy.changing())
    assert f"  no layer {form} to remove" in again.stdout.splitlines()
    assert "  already up to date: nothing was changed" in again.stdout.splitlines()


def test_a_plan_warns_if_nothing_will_answer_on_the_port_of_awss_layer(account):
    """The variable is easily forgotten, and calls would then be refused."""
    name = account.function(KEPT, Layers=[awss_layer(account)])
    done = account.run("--dry-run", f"--replace={AWS_LAYER}", name)

    assert 0 == done.returncode
    warnings = [line for line in done.stdout.splitlines() if "warning" in line]
    assert [True] == ["until variable PARAMETERS_SECRETS_EXTENSION_HTTP_PORT is set" in line for line in warnings]


def awss_layer(account: Lambda, suffix: str = "") -> str:
    """Return the ARN of a layer with the name of AWS's; there is one version of it."""
    if not account.versions(AWS_LAYER + suffix):
        account.publish(AWS_LAYER + suffix, zip_of({"extensions/bootstrap": "AWS's"}))
    return f"{LAYER}{AWS_LAYER}{suffix}:1"


def test_several_layers_are_replaced_by_one(account):
    """The first one's place is ours, also where ours is already somewhere else."""
    ours = account.publish("one-for-two", account.layer_zip().read_bytes())
    name = account.function(Layers=[account.others[0], account.others[1], account.others[2], ours])

    assert 0 == account.run("--layer-name=one-for-two", "--replace=a", "--replace", "c", name).returncode
    assert [ours, account.others[1]] == account.layers(name)


@pytest.mark.parametrize("form", ["a", f"{AWS_LAYER}:2", f"{LAYER}{AWS_LAYER}-Arm64"])
def test_a_layer_to_replace_that_the_function_does_not_have(account, form):
    """A name that is nearly right takes nothing off: refused, with the names that are there."""
    name = account.function(Layers=[awss_layer(account)])

    refused(account, "--replace", form, name, said=f"it has no layer '{form}'; its layers: {LAYER}{AWS_LAYER}:1\n")
    refused(account, "--replace", form, account.function(), said=f"it has no layer '{form}'; its layers: none\n")


@pytest.mark.parametrize("suffix", ["", "-Arm64"])
def test_awss_layer_that_stays_is_warned_of(account, suffix):
    """It would go on answering the function unnoticed. A function that loses ours is not warned."""
    name = account.function(Layers=[awss_layer(account, suffix)])
    done = account.run(name)
    removed = account.run("--remove", name)

    assert (0, "") == (done.returncode, done.stderr)
    assert (
        "  warning: AWS's layer goes on answering on its port, 2773 by default; "
        f"--replace {AWS_LAYER}{suffix} takes it off" in done.stdout.splitlines()
    )
    assert (0, False) == (removed.returncode, "warning" in removed.stdout)


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
        f"remove layer {old}",
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
    assert "  keep variable CACHE_TIMEOUT, because its value is not 6" in kept.stdout.splitlines()

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
    assert "  already removed: nothing was changed" in again.stdout.splitlines()


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
    """All others are done; the exit code is 1, and the last line counts. Of one function, its own line is enough."""
    first, last = account.function(), account.function()

    done = account.run(first, "no-such-function", last)

    assert 1 == done.returncode
    assert 1 == len(account.layers(first)) == len(account.layers(last))
    assert "no-such-function: no such function in this region and account" in done.stderr
    assert "deploy.sh: 1 of 3 functions failed; the reason is above" == done.stderr.splitlines()[-1]

    two, one = account.run("none", first, "nothing"), account.run("none")

    assert "deploy.sh: 2 of 3 functions failed; the reasons are above" == two.stderr.splitlines()[-1]
    assert (1, 1) == (one.returncode, len(one.stderr.splitlines()))


def test_a_function_by_its_arn_in_a_region_by_option(account):
    """--region beats the environment."""
    name = account.function()
    arn = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{name}"

    done = account.run("--region", "eu-west-1", arn, AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1")

    assert 0 == done.returncode
    assert 1 == len(account.layers(name))


def test_the_profile_is_handed_on(account):
    """A profile that the CLI does not have is the CLI's own error, in one line."""
    done = account.run("--profile", "nobody", "f")

    assert 1 == done.returncode
    assert "deploy.sh: f: the AWS CLI failed. AWS says: The config profile (nobody) could not be found\n" == done.stderr


def test_the_page_shows_what_is_printed(account):
    """The commands of docs/deploy.md print what stands below them; so does the first one, run again."""
    project = account.folder / "secrets-cache"
    (project / "dist").mkdir(parents=True)
    shutil.copy(SCRIPT, project)
    shutil.copy(account.layer_zip(), project / "dist" / "secrets-cache-layer-x86_64.zip")
    for name in (".venv", "example_function"):
        (project / name).symlink_to(ROOT / name)
    role = account.iam.create_role(RoleName="orders-role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    tracing = account.publish("tracing", zip_of({"a": "b"}))
    account.function({"A": "1", "B": "2"}, Layers=[tracing], Role=role, name="orders-api")
    page = PAGE.read_text(encoding="utf-8")
    commands = re.findall(r"^bash deploy\.sh (?!--release)(.+)$", page, re.MULTILINE)
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
    refused(account, full, said="has 5 other layers already, and Lambda allows 5 in all; remove one, or merge two")

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

    def write(unpacked: int) -> None:
        with zipfile.ZipFile(big, "w") as archive:
            archive.writestr("extensions/secrets-cache", "")
            # Only the list of contents, which is written at the end, says so.
            archive.infolist()[0].file_size = unpacked

    write(MAX_UNPACKED - known + 1)
    refused(account, "--zip", big, "--layer-name=big", name, said="more than 250 MB unpacked")
    write(MAX_UNPACKED - known)
    assert 0 == account.run("--zip", big, "--layer-name=big", "--dry-run", name).returncode
    write(MAX_UNPACKED - settings["CodeSize"])
    refused(account, "--zip", big, "--layer-name=big", name, said="more than 250 MB unpacked")
    assert 0 == account.run("--zip", big, "--layer-name=big", "--replace=a", "--dry-run", name).returncode


def test_functions_that_cannot_have_a_layer(account):
    """Images, with the way that they have; and published versions."""
    image = account.function(
        Runtime="", Handler="", PackageType="Image", Code={"ImageUri": f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/a:b"}
    )
    refused(account, image, said="is a container image, and Lambda cannot add layers to images")
    refused(account, "--remove", image, said="example_function/Dockerfile")

    versioned = account.function()
    account.api.publish_version(FunctionName=versioned)
    refused(account, f"{versioned}:1", said="is the published version 1")


def test_a_zip_that_is_not_there_or_not_the_right_one(account):
    """Named, with where to get the right one."""
    name, arm = account.function(), account.function(Architectures=["arm64"])
    alone = account.folder / "alone" / "deploy.sh"
    alone.parent.mkdir()
    shutil.copy(SCRIPT, alone)
    for function, architecture in ((name, "x86_64"), (arm, "arm64")):
        done = account.run(function, script=alone)
        assert 1 == done.returncode
        assert "which zip? Download a release's with --release VERSION, such as --release 0.2.0, or " in done.stderr
        assert f"make layer ARCH={architecture}" in done.stderr
        assert f"which is not there: {alone.parent}/dist/secrets-cache-layer-{architecture}.zip\n" in done.stderr
    other = account.folder / "other.zip"
    other.write_bytes(zip_of({"python/a.py": "a"}))
    refused(account, "--zip", other, name, said=f"'{other}' is not the zip of a secrets-cache layer")
    refused(account, "--zip", alone, name, said="is not the zip of a secrets-cache layer")
    refused(account, "--zip", account.folder / "none.zip", name, said="--zip: there is no file '")
    refused(account, "--zip", account.layer_zip(name="l-arm64.zip"), name, said="choose the zip for x86_64")
    assert "deploy each architecture on its own" in account.run("--layer-name=one", name, arm).stderr


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
    assert "  keep all other variables (unreadable, not sent)" in done.stdout.splitlines()
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
    ("ExpiredTokenException", "The security token included in the request is expired", "your AWS session has ended;"),
    ("UnrecognizedClientException", "The security token is invalid", "AWS does not accept your credentials;"),
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


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
            "the AWS CLI found no credentials; sign in with 'aws configure' or 'aws sso login', or choose a --profile",
        ),
        (
            ("AWS_REGION", "AWS_DEFAULT_REGION"),
            "the AWS CLI found no region; give one, such as --region eu-west-1",
        ),
    ],
)
def test_no_credentials_and_no_region(account, monkeypatch, missing, said):
    """One line says what is missing and how to set it."""
    for variable in missing:
        monkeypatch.delenv(variable, raising=False)

    done = account.run("f")

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert done.stderr.startswith(f"deploy.sh: f: {said}. AWS says: ")


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
    return build_policy(parse(text.encode(), file="config.yaml", environ={}), Place("eu-west-1", ACCOUNT))


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
    for text, said in (("secretes: [db]", "secretes"), ("ttl: 5m", "nothing is listed"), (None, "no such file")):
        config.unlink(missing_ok=True)
        if text is not None:
            config.write_text(text, encoding="utf-8")
        refused(account, "--grant", config, account.function(), said=said)


@pytest.fixture(name="alone")
def _alone(tmp_path: Path) -> Path:
    """Give a copy of the script without the project around it."""
    copy = tmp_path / "deploy.sh"
    shutil.copy(SCRIPT, copy)
    return copy


def test_the_script_alone_and_a_zip(account, alone):
    """All that is needed to deploy, and with our command in PATH, to grant as well: without the project around."""
    # Here alone the CLI starts as it does for users.
    (alone.parent / "config.yaml").write_text("secrets: [db]", encoding="utf-8")
    commands = folder_with(alone.parent / "bin")
    (alone.parent / "bin" / "secrets-cache").symlink_to(ROOT / ".venv" / "bin" / "secrets-cache")
    path = os.pathsep.join([commands, str(CLI / "bin"), os.environ["PATH"]])
    name = account.function()

    done = account.run(
        *("--zip", account.layer_zip(), "--grant", alone.parent / "config.yaml", name), script=alone, PATH=path
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert 1 == len(account.layers(name))
    assert policy_of("secrets: [db]") == inline_policy(account, name)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (None, "--grant needs this project's command 'secrets-cache', which is not in PATH; "),
        ("echo secrets-cache 0.2.0", "is another program or does not run; "),
        ("echo no such command >&2; exit 2", "is another program or does not run; "),
    ],
)
def test_grant_needs_our_command(account, alone, other, said):
    """Without it, or with another program of that name, one line says how to get it; nothing is asked of AWS."""
    path = folder_with(alone.parent / "bin", *PROGRAMS, "aws")
    if other:
        (alone.parent / "bin" / "secrets-cache").write_text(f"#!/bin/sh\n{other}\n", encoding="utf-8")
        (alone.parent / "bin" / "secrets-cache").chmod(0o755)

    done = account.run(
        *("--zip", account.layer_zip(), "--grant=config.yaml", "f"), script=alone, PATH=path, bash=(f"{path}/bash",)
    )

    assert (1, "", []) == (done.returncode, done.stdout, account.proxy.asked)
    assert [True] == [said in line for line in done.stderr.splitlines()]
    assert "; install it with 'pipx install FILE', FILE being the .whl of a release, or use --release" in done.stderr

    (alone.parent / "secrets_cache").mkdir()
    (alone.parent / "secrets_cache" / "__init__.py").touch()
    cloned = account.run("--grant=config.yaml", "f", script=alone, PATH=path, bash=(f"{path}/bash",))

    assert cloned.stderr.endswith("; run 'make layer' or 'pipx install .' in your clone\n")
