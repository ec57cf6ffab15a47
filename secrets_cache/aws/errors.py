"""What Secrets Manager's answers mean: a secret, a definite refusal, or a failure that may pass."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import Secret
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, SecretUnavailable

# Secrets Manager's word, and Parameter Store's.
NOT_FOUND = frozenset({"ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException"})
THROTTLED = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
PASSING = frozenset(
    {
        "InternalFailure",
        "InternalServiceError",
        "InternalServiceErrorException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
EXPIRED_CREDENTIALS = frozenset({"ExpiredToken", "ExpiredTokenException"})
EXPIRED_SIGNATURE = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
# The same code says that the key is wrong, which is definite, and that the signature has expired, which is not.
WRONG_SIGNATURE = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
DECRYPTION = frozenset({"DecryptionFailure"})
MAX_MESSAGE = 300
TOO_MANY_REQUESTS = 429
INTERNAL_SERVER_ERROR = 500
# The end of the year 9999.
MAX_TIMESTAMP = 253_402_300_800
# What goes into header fields and log lines.
_PRINTABLE = re.compile(r"[\x21\x23-\x7e]{1,2048}")
_CODE = re.compile(r"[A-Za-z0-9._:-]{1,80}")
_EXPIRED = re.compile("expired|not yet current")


def to_secret(name: str, answer: object) -> Secret:
    """
    Return the secret in an answer of GetSecretValue, or in one of BatchGetSecretValue's values.

    Raises:
        Passing: It is not of the documented form. What it holds instead is not told.
    """
    if not isinstance(answer, Mapping):
        raise malformed(name)
    arn, own_name, version_id = (answer.get(key) for key in ("ARN", "Name", "VersionId"))
    text, binary, created = (answer.get(key) for key in ("SecretString", "SecretBinary", "CreatedDate"))
    try:
        value = text.encode() if isinstance(text, str) else binary
    except UnicodeEncodeError:
        value = None
    if not all(isinstance(part, str) and _PRINTABLE.fullmatch(part) for part in (arn, own_name, version_id)):
        value = None
    if not isinstance(value, bytes):
        raise malformed(name)
    return Secret(
        arn=str(arn),
        name=str(own_name),
        version_id=str(version_id),
        created_at=timestamp(created),
        value=value,
        is_text=isinstance(text, str),
        stages=_stages(answer.get("VersionStages")),
    )


def _stages(labels: object) -> tuple[str, ...]:
    return tuple(label for label in labels if isinstance(label, str)) if isinstance(labels, list) else ()


def timestamp(created: object) -> float | None:
    """Return the seconds since the epoch; None for what is no time that has a date."""
    is_number = isinstance(created, int | float) and not isinstance(created, bool)
    # AWS counts in milliseconds; what is finer is an artefact.
    return round(float(created), 3) if is_number and 0 <= created < MAX_TIMESTAMP else None  # type: ignore[operator, arg-type]


def malformed(name: str) -> RetryableError:
    """Return the failure of an answer that cannot be understood."""
    cause = "AWS's answer is not of the documented form"
    return RetryableError(SecretUnavailable(name, code="malformed-answer", cause=cause))


_CAUSES = {
    "no-credentials": "no AWS credentials are to be had: in Lambda the execution role gives them",
    "expired-credentials": "the AWS credentials that are to be had have expired",
    "no-region": "AWS_REGION is not set",
    "proxy-failed": "the proxy that HTTPS_PROXY names could not be used",
    "tls-failed": "the TLS connection to AWS could not be verified",
    "connection-failed": "no connection to AWS: in a VPC, is there a NAT gateway or an endpoint for this service?",
    "connection-closed": "AWS closed the connection before it had answered",
    "timeout": "AWS accepted the request, but did not answer",
}


def unavailable(name: str, code: str) -> RetryableError:
    """Return the failure of a call that AWS gave no answer to. `code` is a word of ours."""
    # AWS is well, only the connection was too old.
    return RetryableError(SecretUnavailable(name, code=code, cause=_CAUSES[code]), at_once=code == "connection-closed")


def from_aws(name: str, answer: Mapping[str, Any], hidden: Iterable[str] = ()) -> SecretError | RetryableError:
    """
    Return what an error answer means.

    Args:
        name: What was asked for.
        answer: The error as botocore parses it.
        hidden: Our credentials: AWS, or whatever answers in its place, may repeat what it was sent.
    """
    error = answer.get("Error", {})
    code, message = _safe_code(str(error.get("Code") or ""), hidden), str(error.get("Message") or "")
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in NOT_FOUND:
        return SecretNotFound(name, code=code)
    if code in EXPIRED_SIGNATURE or (code in WRONG_SIGNATURE and _EXPIRED.search(message)):
        cause = "AWS found the request's signature too old or too new"
        return RetryableError(SecretUnavailable(name, code=code, cause=cause), at_once=True)
    if code in EXPIRED_CREDENTIALS:
        return RetryableError(
            SecretUnavailable(name, code=code, cause="the AWS credentials have expired"), at_once=True
        )
    if code in THROTTLED or status == TOO_MANY_REQUESTS:
        cause = "AWS is throttling the calls of this account"
        return RetryableError(SecretUnavailable(name, code=code or str(status), cause=cause), throttled=True)
    if code in PASSING or status >= INTERNAL_SERVER_ERROR:
        cause = f"AWS answered with status {status}"
        return RetryableError(SecretUnavailable(name, code=code or str(status), cause=cause))
    if not code or code.isdigit():
        cause = f"something that does not speak for AWS answered with status {status}"
        return RetryableError(SecretUnavailable(name, code="malformed-answer", cause=cause))
    if code in WRONG_SIGNATURE:
        # AWS explains this one with all that was signed, the session token included.
        return SecretRefused(name, code=code, aws_message="is AWS_SECRET_ACCESS_KEY the right one?")
    return SecretRefused(name, code=code, aws_message=_safe_message(message, hidden))


def is_about_permission(error: SecretRefused) -> bool:
    """Return whether a permission to read is missing."""
    return error.code in DENIED and not is_about_key(error)


def is_about_key(error: SecretRefused) -> bool:
    """Return whether the key that encrypts it is what is missing: the codes do not always say so, the words do."""
    text = f"{error.code} {error.aws_message}".lower()
    return error.code in DECRYPTION or "kms:" in text or "access to kms" in text


def _safe_code(code: str, hidden: Iterable[str]) -> str:
    return code if _CODE.fullmatch(code) and not any(secret in code for secret in hidden if secret) else ""


def _safe_message(message: str, hidden: Iterable[str]) -> str:
    for secret in filter(None, hidden):
        message = message.replace(secret, "...")
    return " ".join(message.split())[:MAX_MESSAGE]
