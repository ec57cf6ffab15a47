"""
A secret, and what it is asked by. A parameter is a secret here that is kept in another service.

Rules
-----
1. The value never shows: not in a repr, not in an error, not in a comparison's message.
2. The value is kept as the bytes AWS stored; text is UTF-8.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class AwsContext(NamedTuple):
    """
    Where AWS is asked, and as whom. What is empty is the function's own.

    Attributes:
        region: A region; of an ARN without one given, the one that it names.
        role_arn: The role that is assumed for it.
        external_id: What the role's trust policy wants to be told.
        session_name: What CloudTrail shows of the role's session.
    """

    region: str = ""
    role_arn: str = ""
    external_id: str = ""
    session_name: str = ""


class Ref(NamedTuple):
    """
    What AWS is asked for: one version of one secret or parameter. Also the key of a cache entry.

    Attributes:
        secret_id: Name or ARN; of a parameter also a path, which ends in a slash and means all that is below.
        version_id: A version's id, of a parameter its number; None for the one that `version_stage` names.
        version_stage: A staging label, of a parameter a label; None for the current one.
        access: Where it is asked for, and as whom.
        is_parameter: Whether it is Parameter Store's; else, Secrets Manager's.
        is_decrypted: Whether a SecureString is decrypted; of no meaning for a secret.
    """

    secret_id: str
    version_id: str | None = None
    version_stage: str | None = None
    access: AwsContext = AwsContext()
    is_parameter: bool = False
    is_decrypted: bool = True

    @property
    def is_path(self) -> bool:
        """Whether it is a path of parameters."""
        return self.is_parameter and self.secret_id.endswith("/")


class ParameterFacts(NamedTuple):
    """What Parameter Store says of a parameter besides its value; None for what it does not say."""

    type: str
    version: int
    data_type: str | None = None
    selector: str | None = None
    source_result: str | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether it is stored encrypted, so that its value is another one if it is not decrypted."""
        return self.type == "SecureString"


class Secret(NamedTuple):
    """
    One version of a secret or a parameter, as AWS gave it.

    Attributes:
        arn: The full ARN, of a secret with the six characters AWS appends; empty for a path.
        name: The friendly name.
        version_id: Unique id of this version, of a parameter its number.
        created_at: When AWS says this version was created, seconds since the epoch; None if it did not say.
        value: The stored bytes: SecretString or a parameter's value as UTF-8, or SecretBinary; of a path a JSON object
            of what is below it.
        is_text: Whether it came as text.
        stages: The staging labels of this version.
        parameter: What else is known of a parameter; None for a secret and for a path.
        members: Of a path, the parameters below it by their full names; else None.
    """

    arn: str
    name: str
    version_id: str
    created_at: float | None
    value: bytes
    is_text: bool
    stages: tuple[str, ...] = ()
    parameter: ParameterFacts | None = None
    members: "Mapping[str, Secret] | None" = None

    def __repr__(self) -> str:
        return repr_without("value", self)


def repr_without(hidden: str, value: Any) -> str:  # noqa: ANN401 - there is no type of all named tuples
    """Return the repr of a named tuple but for one of its fields."""
    shown = ", ".join(f"{name}={field!r}" for name, field in value._asdict().items() if name != hidden)
    return f"{type(value).__name__}({shown})"
