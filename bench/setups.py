"""
The ordinary set-ups whose start is measured: what config.yaml lists, and what the plain extension is told. Data.

Rules
-----
1. Each set-up is the first one with one difference.
2. Both extensions get the same variables; those that only the plain one reads have names of its own.
"""

from dataclasses import dataclass, field

from bench.setting import LISTED, Setting
from bench.stubs.answers import TOKEN

ROLE = "arn:aws:iam::123456789012:role/reader"
ANOTHER_REGION = "eu-central-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """
    One set-up.

    Attributes:
        suffix: What the keys of its rows end in.
        what: The set-up in words.
        secrets: How many secrets config.yaml lists.
        parameters: How many parameters it lists.
        each: A further setting of each secret.
        config: The rest of config.yaml.
        variables: Further variables, with the stubs' ports and the certificate in braces; an empty one is left out.
        name: The secret or parameter that is requested.
        limits: Budgets of its own, by the key of the measure, as ratios.
    """

    suffix: str = ""
    what: str
    secrets: int = LISTED
    parameters: int = 0
    each: str = ""
    config: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    name: str = "secret-1"
    limits: dict[str, float] = field(default_factory=dict)

    def environ(self, setting: Setting) -> dict[str, str]:
        """Write config.yaml; return the variables of an extension."""
        places = {**setting.upstream.ports, "certificate": setting.certificate}
        return setting.environ(
            self.config,
            {name: value.format(**places) for name, value in self.variables.items()},
            secrets=self.secrets,
            parameters=self.parameters,
            each=self.each,
        )


SECRETS = Setup(what=f"{LISTED} secrets", limits={"cpu_until_settled": 0.17})
TLS = {"AWS_ENDPOINT_URL": "https://127.0.0.1:{tls_port}", "AWS_CA_BUNDLE": "{certificate}"}
CONTAINER = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:{port}/credentials",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN,
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SESSION_TOKEN": "",
}
# A parameter of a path, and one listed by its name.
PARAMETER = "app/parameter-1"
SETUPS = (
    SECRETS,
    Setup(suffix="_tls", what="over TLS, a CA of its own", variables=TLS),
    Setup(
        suffix="_region",
        what="of another region",
        each=f"region: {ANOTHER_REGION}",
        variables={"SECRETS_REGION": ANOTHER_REGION},
    ),
    Setup(suffix="_role", what="by one role", each=f"role_arn: {ROLE}", variables={"ROLE_ARN": ROLE}),
    Setup(suffix="_container", what="credentials from the container endpoint", variables=CONTAINER),
    Setup(suffix="_parameters", what=f"{LISTED} parameters", secrets=0, parameters=LISTED, name=PARAMETER),
    Setup(
        suffix="_path",
        what="a path of parameters",
        secrets=0,
        config="parameters:\n  - /app/",
        variables={"PARAMETERS_PATH": "/app/"},
        name=PARAMETER,
    ),
)
