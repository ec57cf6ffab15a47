"""
A secret, and what it is asked by.

Rules
-----
1. The value never shows: not in a repr, not in an error, not in a comparison's message.
2. The value is kept as the bytes AWS stored; text is UTF-8.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ref:
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


@dataclass(frozen=True, slots=True)
class Secret:
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
    value: bytes = field(repr=False)
    is_text: bool
