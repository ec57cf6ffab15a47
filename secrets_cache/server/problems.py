"""Errors as responses: one table of statuses and codes, and problem details (RFC 9457)."""

import json
import math
from collections.abc import Mapping

from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.errors import (
    InvalidRequest,
    KeyNotFound,
    SecretError,
    SecretNotConfigured,
    SecretNotFound,
    SecretRefused,
    SecretsCacheError,
    SecretTimeout,
    SecretUnavailable,
    VersionNotFound,
)
from secrets_cache.server.message import Response

CONTENT_TYPE = "application/problem+json"


class ProblemType(NamedTuple):
    """One type of problem: its status, its code for programs and its title for people."""

    status: int
    code: str
    title: str

    def build_response(self, detail: str, headers: Mapping[str, str] | None = None, **members: str) -> Response:
        """Return the response with this problem's details, with further `headers` and `members`."""
        details = {
            # RFC 9457 section 4.2.1 keeps "about:blank" for problems that mean no more than their status.
            "type": f"urn:secrets-cache:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": detail,
            "code": self.code,
            **members,
        }
        body = json.dumps(details, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return Response(
            self.status, {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", **(headers or {})}, body
        )


TOKEN_REQUIRED = ProblemType(401, "token-required", "A token is required")
FORBIDDEN = ProblemType(403, "forbidden", "Only programs on this machine may call this server")
NOT_FOUND = ProblemType(404, "not-found", "Nothing is served at this path")
METHOD_NOT_ALLOWED = ProblemType(405, "method-not-allowed", "Only GET and HEAD are allowed")
INTERNAL_ERROR = ProblemType(500, "internal-error", "The server failed to handle the request")

# The first that matches counts, so a subclass comes before its base class.
PROBLEM_TYPES: Mapping[type[SecretsCacheError], ProblemType] = {
    InvalidRequest: ProblemType(400, "invalid-request", "The request is not valid"),
    SecretNotConfigured: ProblemType(404, "secret-not-configured", "No secret or parameter of this name is configured"),
    VersionNotFound: ProblemType(404, "version-not-found", "AWS has no such version of the secret or parameter"),
    SecretNotFound: ProblemType(404, "secret-not-found", "AWS has no secret or parameter of this name"),
    KeyNotFound: ProblemType(404, "key-not-found", "The secret has no such key"),
    SecretRefused: ProblemType(502, "upstream-refused", "AWS refused the request"),
    SecretTimeout: ProblemType(504, "upstream-timeout", "AWS did not answer in time"),
    SecretUnavailable: ProblemType(503, "upstream-unavailable", "AWS gave no usable answer"),
}


def find_problem_type(error: SecretsCacheError) -> ProblemType:
    """Return the problem type of an error; an internal error for one that no caller should see."""
    for kind, problem_type in PROBLEM_TYPES.items():
        if isinstance(error, kind):
            return problem_type
    return INTERNAL_ERROR


def build_error_response(error: SecretsCacheError) -> Response:
    """Return the response that reports an error: with Retry-After if it may pass, with AWS's own code if AWS failed."""
    problem_type = find_problem_type(error)
    if isinstance(error, SecretError) and error.place:
        problem_type = problem_type._replace(title=problem_type.title.replace("AWS", "The file", 1))
    headers = {}
    if isinstance(error, SecretUnavailable):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    members = {}
    if isinstance(error, SecretError) and problem_type.code.startswith("upstream-"):
        members["aws_code"] = error.code
    return problem_type.build_response(str(error), headers, **members)
