"""
A secret, and what it is asked by.

Rules
-----
1. The value never shows: not in a repr, not in an error, not in a comparison's message.
2. The value is kept as the bytes AWS stored; text is UTF-8.
"""

from typing import Any, NamedTuple


class Ref(NamedTuple):
    """
    What AWS is asked for: one version of one secret. Also the key of a cache entry.

    Attributes:
        secret_id: Name or ARN, as Secrets Manager takes it for SecretId.
        version_id: A version's id; None for the one that `version_stage` names.
        version_stage: A staging label; None for AWSCURRENT.
    """

    secret_id: str
    version_id: str | None = None
    version_stage: str | None = None


class Secret(NamedTuple):
    """
    One version of a secret, as AWS gave it.

    Attributes:
        arn: The full ARN, with the six characters AWS appends.
        name: The friendly name.
        version_id: Unique id of this version.
        created_at: When AWS says this version was created, seconds since the epoch; None if it did not say.
        value: The stored bytes: SecretString as UTF-8, or SecretBinary.
        is_text: Whether it came as SecretString.
    """

    arn: str
    name: str
    version_id: str
    created_at: float | None
    value: bytes
    is_text: bool

    def __repr__(self) -> str:
        return repr_without("value", self)


def repr_without(hidden: str, value: Any) -> str:  # noqa: ANN401 - there is no type of all named tuples
    """Return the repr of a named tuple but for one of its fields."""
    shown = ", ".join(f"{name}={field!r}" for name, field in value._asdict().items() if name != hidden)
    return f"{type(value).__name__}({shown})"
