"""
The interface of everything that makes calls to AWS, and what all of it shares.

Each operation has the name that botocore gives it, and takes and returns what botocore does, except for two types: a
timestamp is a number of seconds since the epoch, and a blob is bytes. `?` marks a key that may be missing, here or in
an answer. Keys that are not listed are ignored. An answer is checked by its reader, not by the client.

    get_secret_value          {SecretId, VersionId?, VersionStage?}
                              -> {ARN, Name, VersionId, SecretString? | SecretBinary?: bytes, CreatedDate?: seconds,
                                  VersionStages?: [str]}
    batch_get_secret_value    {SecretIdList: [str]}
                              -> {SecretValues: [as above]}
    get_parameter             {Name, WithDecryption: bool}
                              -> {Parameter: {Name, Value, Version: int, Type, ARN?, LastModifiedDate?: seconds,
                                              DataType?, Selector?, SourceResult?}}
    get_parameters            {Names: [str], WithDecryption: bool}
                              -> {Parameters: [as above], InvalidParameters?: [str]}
    get_parameters_by_path    {Path, Recursive: bool, WithDecryption: bool, MaxResults: int, NextToken?}
                              -> {Parameters: [as above], NextToken?}
    assume_role               {RoleArn, RoleSessionName, ExternalId?}
                              -> {Credentials: {AccessKeyId, SecretAccessKey, SessionToken, Expiration: seconds}}
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from secrets_cache.core.clock import Clock
from secrets_cache.core.named_tuple import NamedTuple

if TYPE_CHECKING:
    from secrets_cache.aws.sts import Role

Service = Literal["secretsmanager", "ssm", "sts"]

MAX_CONNECTIONS = 20
# Shorter than any freeze that matters: a pooled connection dies in it, unnoticed.
KEEPALIVE_SECONDS = 4.0
# The end of the year 9999.
_MAX_TIMESTAMP = 253_402_300_800


class ServiceClient(Protocol):
    """Makes calls to one AWS service, in one region, with one set of credentials."""

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        Make one call, in one attempt; return AWS's answer.

        Args:
            operation: One of the operations listed above.
            name: The secret, parameter or role that an error names.
            arguments: The request, as listed above.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            RetryableError: AWS gave no usable answer, and may give one to the next attempt.
        """
        ...

    async def import_library(self) -> None:
        """Import what a call needs, before its budget begins: with little CPU that takes seconds. Raises nothing."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class ClientSettings(NamedTuple):
    """
    What a client by aiobotocore is created with.

    Attributes:
        service: The service that is called.
        region: The value of AWS_REGION, which botocore does not read; None for the region that botocore finds.
        timeout_seconds: Time for connecting, and time for an answer: it ends a call that has no waiters left.
        clock: Tells the time.
        role: The role that makes the calls; None for the credentials that botocore finds.
        keepalive_seconds: How long an idle connection is kept.
    """

    service: Service
    region: str | None
    timeout_seconds: float
    clock: Clock
    role: "Role | None" = None
    keepalive_seconds: float = KEEPALIVE_SECONDS


def is_printable(value: object, longest: int = 2048) -> bool:
    """Return whether a part of an answer may go into a header field or a log line: printable ASCII, no quote."""
    is_text = isinstance(value, str) and value.isascii() and value.isprintable()
    return is_text and 0 < len(value) <= longest and '"' not in value and " " not in value  # type: ignore[arg-type, operator]


def read_text(value: object) -> str:
    """Return a part of an answer that should be text; empty if it is not."""
    return value if isinstance(value, str) else ""


def read_timestamp(value: object) -> float | None:
    """Return a timestamp of an answer in seconds since the epoch, to the millisecond; None if it is no valid one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # AWS counts in milliseconds; anything finer is an artefact of the conversion.
    return round(float(value), 3) if is_number and 0 <= value < _MAX_TIMESTAMP else None  # type: ignore[operator, arg-type]
