"""
What a request gets: a status, headers and a body, whoever read it and whoever writes it.

    asked -> may it ask at all? -> what does it ask? -> the cache -> representation -> reply
                                            every error -> problems -> reply
"""

import json
import logging
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from secrets_cache.cache import Cache
from secrets_cache.clock import Clock
from secrets_cache.errors import SecretError, SecretsCacheError, SecretUnavailable
from secrets_cache.freshness import State
from secrets_cache.logs import describe
from secrets_cache.outcomes import Answer, Report
from secrets_cache.secret import repr_without
from secrets_cache.server import admission, problems, representation, target
from secrets_cache.server.problems import Problem

logger = logging.getLogger(__name__)

METHODS = ("GET", "HEAD")
SERVER = "secrets-cache"


class Asked(NamedTuple):
    """
    A request, as far as it matters here.

    Attributes:
        method: As it was sent.
        target: The request target, as it was sent.
        hosts: The values of its Host headers.
        forwarded: Which of `admission.FORWARDING_HEADERS` it has.
        tokens: The values of its token headers.
        if_none_match: The values of its If-None-Match headers.
        origins: The values of its Origin headers.
        sites: The values of its Sec-Fetch-Site headers.
    """

    method: str
    target: str
    hosts: Sequence[str]
    forwarded: Sequence[str] = ()
    tokens: Sequence[str] = ()
    if_none_match: Sequence[str] = ()
    origins: Sequence[str] = ()
    sites: Sequence[str] = ()

    def __repr__(self) -> str:
        return repr_without("tokens", self)


class Reply(NamedTuple):
    """
    An answer, whole but for the framing of the message, which is for who writes it.

    Attributes:
        answer: What the cache answered; None where it was not asked, or in vain.
    """

    status: int
    headers: dict[str, str]
    body: bytes = b""
    answer: Answer | None = None

    def __repr__(self) -> str:
        return repr_without("body", self)


class Replies:
    """
    Replies to what is asked. Raises nothing.

    Args:
        cache: What is served.
        tokens: The tokens a caller may send; None if none is needed.
        wrong: Says what is wrong with the configuration and what is required but missing, for `/health`.
        clock: What time it is.
    """

    def __init__(
        self, *, cache: Cache, tokens: Sequence[str] | None, wrong: Callable[[], Sequence[str]], clock: Clock
    ) -> None:
        self.cache = cache
        self.clock = clock
        self._tokens = tokens
        self._wrong = wrong

    async def to(self, asked: Asked) -> Reply:
        """Return the reply to a request, waiting for AWS where that is needed."""
        try:
            reply = await self._reply(asked)
        except SecretsCacheError as error:
            reply = _to_error(error)
        except Exception as error:  # noqa: BLE001 - a caller never sees more than that there was one
            logger.error("internal.error", {"where": "request", **describe(error)})  # noqa: TRY400
            reply = to_problem(problems.INTERNAL_ERROR, "see the log")
        logger.debug("request", {"method": asked.method, "status": reply.status})
        return self._finished(reply)

    def to_no_request(self) -> Reply:
        """Return the reply to what is no request."""
        return self._finished(to_problem(problems.INVALID_REQUEST, "what was received is no HTTP/1.1 request"))

    def broken(self) -> Reply:
        """Return the reply of a server that cannot go on."""
        return self._finished(to_problem(problems.INTERNAL_ERROR, "see the log"))

    def _finished(self, reply: Reply) -> Reply:
        reply.headers.setdefault("Date", representation.http_date(self.clock.now().wall))
        reply.headers["Server"] = SERVER
        return reply

    async def _reply(self, asked: Asked) -> Reply:
        authority = target.authority_of(asked.target)
        forbidden = admission.why_forbidden(
            asked.hosts, asked.forwarded, authority, origins=asked.origins, sites=asked.sites
        )
        if forbidden is not None:
            return to_problem(problems.FORBIDDEN, forbidden)
        if asked.method not in METHODS:
            detail = f"{asked.method[:20]} is not allowed"
            return to_problem(problems.METHOD_NOT_ALLOWED, detail, {"Allow": ", ".join(METHODS)})
        path, query = target.path_of(asked.target)
        if path == "/ping":
            return Reply(200, {"Content-Type": representation.TEXT}, b"healthy")
        if self._tokens is not None and not admission.knows_token(self._tokens, asked.tokens):
            detail = f"the header {admission.TOKEN_HEADER} is missing or wrong"
            return to_problem(problems.TOKEN_REQUIRED, detail)
        if path == "/health":
            return self._health()
        if path.startswith(target.PREFIX):
            return await self._secret(target.parse(path, query), asked.if_none_match)
        return to_problem(problems.NOT_FOUND, "there are /cache/<name>, /health and /ping")

    async def _secret(self, wanted: target.Target, if_none_match: Sequence[str]) -> Reply:
        answer = await self.cache.get(
            wanted.name, version_id=wanted.version_id, version_stage=wanted.version_stage, refresh=wanted.refresh
        )
        content_type, body = representation.represent(answer.held, wanted.name, wanted.key)
        headers = representation.headers(answer)
        if representation.is_unchanged(if_none_match, headers["ETag"]):
            return Reply(304, headers)
        return Reply(200, {**headers, "Content-Type": content_type}, body, answer)

    def _health(self) -> Reply:
        reports, wrong = self.cache.report(), self._wrong()
        is_servable = all(report.is_servable for report in reports)
        if not is_servable:
            status = "failing"
        elif wrong or any(report.state is State.STALE for report in reports):
            status = "degraded"
        else:
            status = "ok"
        body = {"status": status, "problems": wrong, "secrets": [_of_report(report) for report in reports]}
        return Reply(
            200 if is_servable and not wrong else 503,
            {"Content-Type": representation.JSON, "Cache-Control": "no-store"},
            json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"),
        )


def to_problem(problem: Problem, detail: str, headers: dict[str, str] | None = None, **members: str) -> Reply:
    """Return the reply that tells a problem, with further headers and members."""
    fields = {"Content-Type": problems.CONTENT_TYPE, "Cache-Control": "no-store", **(headers or {})}
    return Reply(problem.status, fields, problem.body(detail, **members))


def _to_error(error: SecretsCacheError) -> Reply:
    problem = problems.problem_of(error)
    headers = {}
    if isinstance(error, SecretUnavailable):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    members = {}
    if isinstance(error, SecretError) and problem.code.startswith("upstream-"):
        members["aws_code"] = error.code
    return to_problem(problem, str(error), headers, **members)


def _of_report(report: Report) -> dict[str, object]:
    return {
        "name": report.name,
        "state": report.state.value,
        "age_seconds": None if report.age is None else round(report.age, 3),
        "version_id": report.version_id,
        "error": report.error,
    }
