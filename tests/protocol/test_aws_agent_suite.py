"""
What the integration tests of AWS's agent expect over HTTP, asked here.

AWS runs them against a real account; here the stub is AWS, and the clock is a fake one where theirs sleep. Each test
of theirs has one scenario of our own, under its name. What they say about certificates, which this program does not
deliver, is left out; `FILE` holds those about a file of credentials, which need a process of their own.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support.aws_layer_table import GOOD, SECRET, TOKEN
from tests.support.aws_listener import Listeners, listeners
from tests.support.extension import get
from tests.support.fakes import CANARY, FakeClock
from tests.support.processes import Process
from tests.support.processes import config as write_config
from tests.support.upstream import Answer, Call, Upstream, arn_of, aws_error
from tools.emulator import free_port

PORT = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "2773"}
NAME = "agent-suite"
OLD, NEW = f"{CANARY}-old", f"{CANARY}-new"
LARGE = json.dumps({"size": "60KB", "data": "x" * 60000, "canary": CANARY})
ROLE = "arn:aws:iam::123456789012:role/"
DENIED = Answer(
    403,
    b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>AccessDenied: no</Message></Error></ErrorResponse>",
    headers=("Content-Type: text/xml",),
)
CURRENT, PENDING = "1" * 32, "2" * 32


# The steps of a scenario.


@dataclass(frozen=True)
class Ask:
    """A request; `has` is a part of the JSON, `text` a part of the body."""

    target: str = SECRET + NAME
    status: int = 200
    has: dict[str, object] = field(default_factory=dict)
    text: str = ""
    headers: tuple[str, ...] = GOOD


@dataclass(frozen=True)
class Rotate:
    """AWS gets a new value."""

    value: str | bytes = NEW


@dataclass(frozen=True)
class Promote:
    """In AWS the label AWSCURRENT moves to the pending version."""


@dataclass(frozen=True)
class Wait:
    """Time goes by."""

    seconds: float


Step = Ask | Rotate | Promote | Wait


@dataclass(frozen=True)
class Scenario:
    """
    One of their tests.

    Attributes:
        group: The file that it is in.
        steps: What is done, and expected.
        text: Our configuration in place of theirs.
        variables: The same.
        value: What AWS holds.
        calls: How many secrets are fetched in all; None if that does not matter.
    """

    group: str
    steps: Sequence[Step]
    text: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    value: str | bytes = OLD
    calls: int | None = None


def ask(query: str, **has: object) -> Ask:
    """Return a request for the secret, with more in its query, that gives certain fields."""
    return Ask(SECRET + NAME + query, has=has)


def fail(query: str, status: int, text: str) -> Ask:
    """Return a request for the secret that is refused."""
    return Ask(SECRET + NAME + query, status, text=text)


OLD_VALUE, NEW_VALUE = Ask(has={"SecretString": OLD}), Ask(has={"SecretString": NEW})
REFRESHED = ask("&refreshNow=true", SecretString=NEW, VersionStages=["AWSCURRENT"])
READER = f"&roleArn={ROLE}reader"
OF_CURRENT: dict[str, object] = {"SecretString": OLD, "VersionId": CURRENT}
OF_PENDING: dict[str, object] = {"SecretString": NEW, "VersionId": PENDING}

SCENARIOS = {
    "refresh_now_on_updated_secret_succeeds": Scenario("cache", [OLD_VALUE, Rotate(), OLD_VALUE, REFRESHED], calls=2),
    "cache_expiration_and_refresh": Scenario(
        "cache", [OLD_VALUE, Rotate(), OLD_VALUE, Wait(6), NEW_VALUE], variables={"SECRETS_MANAGER_TTL": "5"}, calls=2
    ),
    "ttl_zero_disables_caching": Scenario(
        "cache", [OLD_VALUE, Rotate(), NEW_VALUE], variables={"SECRETS_MANAGER_TTL": "0"}, calls=2
    ),
    "ping_endpoint_health_check": Scenario(
        "configuration", [Ask("/ping", text="healthy", headers=()), Ask("/ping", text="healthy")]
    ),
    "path_based_requests": Scenario(
        "configuration", [Ask(f"/v1/{NAME}", has={"Name": NAME, "SecretString": OLD}), OLD_VALUE], calls=1
    ),
    "prefetch_serves_cached_value": Scenario(
        "prefetch", [Wait(3), Rotate(), OLD_VALUE, Ask(SECRET + arn_of(NAME))], text=f"secrets: [{NAME}]", calls=1
    ),
    "prefetch_nonexistent_secret_doesnt_crash": Scenario(
        "prefetch", [Wait(3), Ask("/ping", headers=())], text="secrets: [nobody]"
    ),
    "prefetch_inline_syntax_serves_cached_value": Scenario(
        "prefetch", [Wait(3), Rotate(), OLD_VALUE], text=f"secrets: [{{id: {NAME}}}]", calls=1
    ),
    "prefetch_with_role_chaining_serves_cached_value": Scenario(
        "prefetch",
        [Wait(3), Rotate(), ask(READER, SecretString=OLD)],
        text=f"secrets: [{{id: {NAME}, role_arn: '{ROLE}reader'}}]",
        calls=1,
    ),
    "role_chaining_basic_retrieval": Scenario("role_chaining", [ask(READER, Name=NAME, SecretString=OLD)]),
    "role_chaining_invalid_role_arn_format": Scenario(
        "role_chaining", [fail("&roleArn=not-a-valid-arn", 400, "invalid roleArn format")], calls=0
    ),
    "role_chaining_nonexistent_role": Scenario(
        "role_chaining", [fail(f"&roleArn={ROLE}missing", 403, "AccessDenied")], calls=0
    ),
    "role_chaining_with_refresh_now": Scenario(
        "role_chaining",
        [
            ask(READER, SecretString=OLD),
            Rotate(),
            ask(READER, SecretString=OLD),
            ask(f"{READER}&refreshNow=true", SecretString=NEW),
        ],
    ),
    "role_chaining_no_access_role_denied": Scenario(
        "role_chaining", [ask(READER), fail(f"&roleArn={ROLE}no-access", 400, "AccessDenied")]
    ),
    "role_chaining_separate_caches_per_role": Scenario(
        "role_chaining", [OLD_VALUE, Rotate(), OLD_VALUE, ask(READER, SecretString=NEW)]
    ),
    "secret_retrieval_by_name": Scenario("secret_retrieval", [Ask(has={"Name": NAME, "SecretString": OLD})]),
    "secret_retrieval_by_arn": Scenario(
        "secret_retrieval", [Ask(SECRET + arn_of(NAME), has={"ARN": arn_of(NAME), "SecretString": OLD})]
    ),
    "binary_secret_retrieval": Scenario(
        "secret_retrieval", [Ask(has={"SecretString": None, "SecretBinary": "Q0FOQVJZAP8="})], value=b"CANARY\x00\xff"
    ),
    "version_stage_retrieval": Scenario(
        "secret_retrieval",
        [
            ask("&versionStage=AWSCURRENT", SecretString=OLD, VersionStages=["AWSCURRENT"]),
            ask("&versionStage=AWSPENDING", SecretString=NEW, VersionStages=["AWSPENDING"]),
        ],
    ),
    "version_id_retrieval": Scenario(
        "secret_retrieval", [ask(f"&versionId={CURRENT}", **OF_CURRENT), ask(f"&versionId={PENDING}", **OF_PENDING)]
    ),
    "large_secret_retrieval": Scenario("secret_retrieval", [Ask(has={"SecretString": LARGE})], value=LARGE),
    "real_nonexistent_secret": Scenario(
        "secret_retrieval",
        [
            Ask(f"{SECRET}nobody", 400, text="ResourceNotFoundException"),
            Ask(f"{SECRET}nobody&refreshNow=true", 400, text="ResourceNotFoundException"),
        ],
    ),
    "ssrf_token_validation": Scenario(
        "security",
        [
            Ask(status=403, headers=()),
            Ask(status=403, headers=("X-Aws-Parameters-Secrets-Token: wrong",)),
            OLD_VALUE,
            Ask(f"{SECRET}{NAME}&refreshNow=true", 403, headers=()),
            ask("&refreshNow=true"),
        ],
    ),
    "x_forwarded_for_rejection": Scenario(
        "security", [Ask(status=400, headers=(*GOOD, "X-Forwarded-For: 192.0.2.1")), OLD_VALUE]
    ),
    "version_stage_transitions": Scenario(
        "version_management",
        [
            ask("&versionStage=AWSPENDING", **OF_PENDING),
            ask("&versionStage=AWSCURRENT", **OF_CURRENT),
            Promote(),
            ask("&versionStage=AWSCURRENT&refreshNow=true", **OF_PENDING, VersionStages=["AWSCURRENT"]),
            ask(f"&versionId={CURRENT}&refreshNow=true", **OF_CURRENT, VersionStages=["AWSPREVIOUS"]),
        ],
    ),
}
# Secrets are not found by tag here: docs/migrating.md.
NOT_HERE = {"prefetch_with_tags_serves_cached_value": "prefetch"}


class Aws:
    """AWS as the scenarios need it: a secret with two versions and labels, and three roles."""

    def __init__(self, value: str | bytes) -> None:
        self.values: dict[str, str | bytes] = {CURRENT: value, PENDING: NEW}
        self.stages = {"AWSCURRENT": CURRENT, "AWSPENDING": PENDING}
        self.roles: list[str] = []

    def rotate(self, value: str | bytes) -> None:
        """Make a new current version."""
        self.values["3" * 32] = value
        self.stages = {"AWSCURRENT": "3" * 32, "AWSPREVIOUS": CURRENT}

    def promote(self) -> None:
        """Make the pending version the current one."""
        self.stages = {"AWSCURRENT": PENDING, "AWSPREVIOUS": CURRENT}

    def answer(self, upstream: Upstream, call: Call) -> Answer:
        """Answer a call."""
        if call.operation == "AssumeRole":
            role = call.arguments["RoleArn"].removeprefix(ROLE)
            self.roles.append(role)
            return DENIED if role == "missing" else upstream.good(call)
        if call.access_key.startswith("ASIAROLE") and self.roles[-1] == "no-access":
            return aws_error("AccessDeniedException", "User is not authorized")
        secret_id = call.arguments["SecretId"]
        stage = call.arguments.get("VersionStage", "AWSCURRENT")
        version = call.arguments.get("VersionId", self.stages.get(stage, ""))
        if secret_id not in {NAME, arn_of(NAME)} or version not in self.values:
            return aws_error("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        upstream.secrets[NAME] = (version, self.values[version])
        found = upstream.find(NAME)
        assert found is not None
        stages = [label for label, held in self.stages.items() if held == version]
        return Answer(body=json.dumps({**found, "VersionStages": stages}).encode())


async def take(step: Step, running: Listeners, aws: Aws, clock: FakeClock) -> None:
    """Take one step."""
    if isinstance(step, Rotate):
        aws.rotate(step.value)
    elif isinstance(step, Promote):
        aws.promote()
    elif isinstance(step, Wait):
        assert running.application.prefetching is not None
        await running.application.prefetching
        clock.tick(step.seconds)
    else:
        received = await running.ask(step.target, headers=step.headers)
        assert step.status == received.status
        assert step.text in received.body.decode()
        assert not step.has or step.has == {key: received.json()[key] for key in step.has}


@pytest.mark.usefixtures("fast_paths")
@pytest.mark.parametrize("name", SCENARIOS)
async def test_an_expectation_of_awss_agent_is_met(upstream, clock, name):
    """Each request of the scenario has the status, and the body has what the agent's test looks for."""
    scenario = SCENARIOS[name]
    aws = Aws(scenario.value)
    upstream.fault = lambda call: aws.answer(upstream, call)
    upstream.now = lambda: clock.wall
    async with listeners(scenario.text, scenario.variables, clock=clock) as running:
        for step in scenario.steps:
            await take(step, running, aws, clock)

    assert scenario.calls in {None, upstream.count()}


def test_each_of_their_tests_has_its_scenario():
    """As many as theirs, by their files; those about certificates excepted."""
    groups = [
        *(scenario.group for scenario in SCENARIOS.values()),
        *NOT_HERE.values(),
        *["file_credentials"] * len(FILE),
    ]
    expected = {
        "cache": 3,
        "configuration": 2,
        "file_credentials": 8,
        "prefetch": 5,
        "role_chaining": 6,
        "secret_retrieval": 7,
        "security": 2,
        "version_management": 1,
    }

    assert expected == {group: groups.count(group) for group in expected}
    assert sum(expected.values()) == len(groups)


# A file of credentials. The agent's `credentials_file_path` is the SDK's AWS_SHARED_CREDENTIALS_FILE here.

VALID, INVALID = "AKIAVALID", "AKIAINVALID"


def credentials(key: str, *, token: bool = True) -> str:
    """Return the text of a file of credentials."""
    lines = ["[default]", f"aws_access_key_id={key}", "aws_secret_access_key=x"]
    return "\n".join([*lines, *(["aws_session_token=t"] if token else []), ""])


# By their test: what the file holds, one after the other; None if there is none; and whether a request is then served.
FILE: dict[str, list[tuple[str | None, bool]]] = {
    "valid_credentials_explicit_path": [(credentials(VALID), True)],
    "invalid_credentials_provider_starts": [(credentials(INVALID), False)],
    "long_term_credentials_rejected": [(credentials(INVALID, token=False), False)],
    "malformed_credentials_file": [("this is not a credentials file\n", False)],
    "empty_credentials_file": [("", False)],
    "missing_credentials_path": [(None, False)],
    "self_healing_credentials_appear_after_startup": [(None, False), (credentials(VALID), True)],
    # Theirs takes up the invalid ones and fails. Here the file is not read again while its credentials are good.
    "credential_rotation_while_running": [
        (credentials(VALID), True),
        (credentials(INVALID), True),
        (credentials(VALID), True),
    ],
}


@pytest.mark.parametrize("name", FILE)
def test_an_expectation_about_a_file_of_credentials_is_met(upstream, tmp_path, name):
    """The server starts whatever the file holds, and serves once AWS takes what is in it."""
    upstream.put(NAME, OLD)
    upstream.fault = lambda call: (
        None if call.access_key == VALID else aws_error("UnrecognizedClientException", "The token is invalid.")
    )
    file, port = tmp_path / "credentials", free_port()
    environ = {
        **write_config(tmp_path, f"server: {{aws_port: {port}}}\nfetch_timeout: 5s"),
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), ""),
        "AWS_TOKEN": TOKEN,
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    steps = FILE[name]
    write(file, steps[0][0])
    with Process(("-m", "secrets_cache", "serve"), environ) as process:
        process.event("serve.ready")
        for number, (text, is_served) in enumerate(steps):
            write(file, text)
            assert is_served == (200 == ask_until(port, is_served=is_served and number > 0))


def write(file: Path, text: str | None) -> None:
    """Write a file, unless there is to be none."""
    if text is not None:
        file.write_text(text, encoding="utf-8")


def ask_until(port: int, *, is_served: bool) -> int:
    """Return the status of a request; with `is_served`, ask again until there is an answer, as theirs does."""
    url = f"http://127.0.0.1:{port}{SECRET}{NAME}&refreshNow=true"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        status, _ = get(url, **{"X-Aws-Parameters-Secrets-Token": TOKEN})
        if status == 200 or not is_served or time.monotonic() > deadline:
            return status
        # The pause after a failure is a second or more; nothing tells when it is over.
        time.sleep(0.2)
