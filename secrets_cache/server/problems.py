"""Errors as HTTP answers: one table, and RFC 9457 problem details."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from secrets_cache.errors import (
    InvalidRequest,
    KeyNotFound,
    SecretNotConfigured,
    SecretNotFound,
    SecretRefused,
    SecretsCacheError,
    SecretTimeout,
    SecretUnavailable,
)

CONTENT_TYPE = "application/problem+json"


class Problem(NamedTuple):
    """One kind of error answer."""

    status: int
    code: str
    title: str

    def body(self, detail: str, **members: str) -> bytes:
        """Return the problem details, with `members` besides the standard ones."""
        fields = {
            # RFC 9457 section 4.2.1 keeps "about:blank" for problems that have no more to them than their status.
            "type": f"urn:secrets-cache:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": detail,
            "code": self.code,
            **members,
        }
        return json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace")


INVALID_REQUEST = Problem(400, "invalid-request", "The request cannot be meant")
TOKEN_REQUIRED = Problem(401, "token-required", "A token is required")
FORBIDDEN = Problem(403, "forbidden", "Only this machine may ask")
NOT_FOUND = Problem(404, "not-found", "There is nothing here")
METHOD_NOT_ALLOWED = Problem(405, "method-not-allowed", "Only GET and HEAD are allowed")
INTERNAL_ERROR = Problem(500, "internal-error", "An error of ours")

# The first that fits, so a subclass stands before what it derives from.
TABLE: Mapping[type[SecretsCacheError], Problem] = {
    InvalidRequest: INVALID_REQUEST,
    SecretNotConfigured: Problem(404, "secret-not-configured", "Nothing of that name is configured"),
    SecretNotFound: Problem(404, "secret-not-found", "AWS has nothing of that name or version"),
    KeyNotFound: Problem(404, "key-not-found", "There is no such key"),
    SecretRefused: Problem(502, "upstream-refused", "AWS refused"),
    SecretTimeout: Problem(504, "upstream-timeout", "AWS did not answer in time"),
    SecretUnavailable: Problem(503, "upstream-unavailable", "AWS gave no usable answer"),
}


def problem_of(error: SecretsCacheError) -> Problem:
    """Return what kind of answer an error is."""
    for kind, problem in TABLE.items():
        if isinstance(error, kind):
            return problem
    return INTERNAL_ERROR
