"""
Amazon Resource Names (ARNs): their fields, and the region and the names that an ARN or a name means.

    arn:partition:service:region:account:resource

Rules
-----
1. What begins with "arn:" is an ARN: no name of a secret or a parameter can begin so, since it may hold no colon.
2. Nothing is checked here. A field that is missing is empty: the configuration says what a complete ARN is.

A `SecretReference` is an ARN with more behind it, as task definitions of ECS have it.

Format: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
"""

from secrets_cache.core.named_tuple import NamedTuple


class Arn(NamedTuple):
    """
    An ARN's fields. Each may be empty.

    Attributes:
        resource: Everything after the fifth colon, further colons included: `secret:prod/db-AbCdEf`,
            `parameter/prod/db`.
    """

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> "Arn | None":
        """Return the fields of `text`; None if it is not an ARN but a name."""
        if not text.startswith("arn:"):
            return None
        fields = text.split(":", 5)[1:]
        return cls(*fields, *[""] * (5 - len(fields)))

    def __str__(self) -> str:
        return ":".join(("arn", *self))

    @property
    def is_parameter(self) -> bool:
        """Whether Parameter Store keeps it."""
        return self.service == "ssm"

    @property
    def parameter_name(self) -> str:
        """The parameter's full name, with its leading slash; empty if this is not the ARN of a parameter."""
        is_name = self.is_parameter and self.resource.startswith("parameter")
        return self.resource.removeprefix("parameter") if is_name else ""


class SecretReference(NamedTuple):
    """
    What a reference to a secret asks for: a name, an ARN, or in ECS's form an ARN with a key and a version behind it.

        arn:aws:secretsmanager:region:account:secret:name:key:version-stage:version-id

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html

    Attributes:
        secret_id: The name, or the ARN alone.
        key: The key of a JSON secret; empty for the whole value.
        version_stage: A staging label; empty for none.
        version_id: The id of a version; empty for none.
    """

    secret_id: str
    key: str = ""
    version_stage: str = ""
    version_id: str = ""

    @classmethod
    def parse(cls, text: str) -> "SecretReference":
        """Return the parts of `text`. It is a name or an ARN alone if it is not in ECS's form."""
        arn = Arn.parse(text)
        if arn is None or arn.service != "secretsmanager":
            return cls(text)
        # secret, name, key, stage, version.
        kind, *parts = arn.resource.split(":")
        if len(parts) not in range(2, 5):
            return cls(text)
        return cls(str(arn._replace(resource=f"{kind}:{parts[0]}")), *parts[1:])


def find_region(secret_id: str, *, given: str = "", own: str = "") -> str:
    """
    Return the region in which a secret or a parameter is read; empty for the function's own.

    Args:
        secret_id: A name or an ARN.
        given: The region that the caller or the configuration gives; it counts before that of an ARN.
        own: The function's region.
    """
    arn = Arn.parse(secret_id)
    region = given or (arn.region if arn else "")
    return "" if region == own else region


def expand_parameter_name(name: str) -> str:
    """Return a parameter's full name, given that name with or without its leading slash, or an ARN."""
    arn = Arn.parse(name)
    if arn is not None:
        return arn.parameter_name
    return name if name.startswith("/") else f"/{name}"


def lacks_slash(name: str) -> bool:
    """
    Return whether a parameter's name is one that AWS cannot have: it holds slashes, and does not begin with one.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
    """
    return "/" in name and not name.startswith("/") and Arn.parse(name) is None


def split_selector(parameter_id: str) -> tuple[str, str | None, str | None]:
    """
    Return a parameter's name or ARN without its selector, the version and the label; None for what is not given.

    `/x:3` and `/x:stable` are how AWS writes a version and a label. No name of a parameter holds a colon, and no label
    begins with a digit.
    """
    arn = Arn.parse(parameter_id)
    name = parameter_id if arn is None else arn.resource
    before, _, selector = name.rpartition(":")
    if not before or not selector:
        # A selector of nothing is none: AWS says what is wrong with the name.
        return parameter_id, None, None
    plain = parameter_id.removesuffix(f":{selector}")
    return (plain, selector, None) if selector.isdigit() else (plain, None, selector)


def list_possible_names(secret_id: str) -> tuple[str, ...]:
    """Return the names that a secret with this id may have: the name itself, or the names that its ARN may hold."""
    arn = Arn.parse(secret_id)
    if arn is None:
        return (secret_id,)
    if arn.is_parameter:
        # The slash after "parameter" is the name's own, or the ARN's for a name without one.
        return (arn.parameter_name, arn.parameter_name[1:])
    name = arn.resource.rpartition(":")[2]
    # AWS appends a hyphen and six characters, but an id may leave them out.
    return (name, name[:-7]) if name[-7:-6] == "-" else (name,)
