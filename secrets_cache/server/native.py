"""
What a request gets: a status, headers and a body, whoever read it and whoever writes it.

    asked -> may it ask at all? -> what does it ask? -> the cache -> representation -> reply
                                            every error -> problems -> reply
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.core.freshness import State
from secrets_cache.core.results import EntryReport
from secrets_cache.errors import SecretError, SecretsCacheError, SecretUnavailable
from secrets_cache.server import access, native_request, problems, representation
from secrets_cache.server.handler import Handler, Request, Response, why_forbidden
from secrets_cache.server.problems import Problem

METHODS = ("GET", "HEAD")


class MetricsPage(NamedTuple):
    """
    The page of metrics: since when the process runs, in seconds since the epoch, and whether it names secrets.

    Its writer is imported when somebody asks: in Lambda nobody can.
    """

    started: float
    by_secret: bool

    def reply(self, cache: Cache, accept: Sequence[str]) -> Response:
        """Return it, in the form that is liked best."""
        from secrets_cache.server import prometheus  # noqa: PLC0415

        is_openmetrics = prometheus.prefers_openmetrics(accept)
        content_type = prometheus.OPENMETRICS if is_openmetrics else prometheus.PROMETHEUS
        body = prometheus.exposition(
            cache.counts,
            cache.report(),
            started=self.started,
            by_secret=self.by_secret,
            is_openmetrics=is_openmetrics,
        )
        return Response(200, {"Content-Type": content_type, "Cache-Control": "no-store"}, body)


class NativeHandler(Handler):
    """
    Replies to what is asked in our own protocol. Raises nothing.

    Args:
        cache: What is served.
        tokens: The tokens a caller may send; None if none is needed.
        wrong: Says what is wrong with the configuration and what is required but missing, for `/health`.
        clock: What time it is.
        metrics: What is told at `/metrics`; None for nothing: the path is then like any other.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        tokens: Sequence[str] | None,
        wrong: Callable[[], Sequence[str]],
        clock: Clock,
        metrics: MetricsPage | None = None,
    ) -> None:
        super().__init__(cache, clock)
        self._tokens = tokens
        self._wrong = wrong
        self._metrics = metrics

    def _of_error(self, error: SecretsCacheError) -> Response:
        return _to_error(error)

    def _of_failure(self) -> Response:
        return to_problem(problems.INTERNAL_ERROR, "see the log")

    def _of_no_request(self, reason: str) -> Response:
        return to_problem(problems.INVALID_REQUEST, reason)

    async def _reply(self, asked: Request) -> Response:
        if (forbidden := why_forbidden(asked)) is not None:
            return to_problem(problems.FORBIDDEN, forbidden)
        if asked.method not in METHODS:
            detail = f"{asked.method[:20]} is not allowed"
            return to_problem(problems.METHOD_NOT_ALLOWED, detail, {"Allow": ", ".join(METHODS)})
        path, query = native_request.path_of(asked.target)
        if path == "/ping":
            return Response(200, {"Content-Type": representation.TEXT}, b"healthy")
        if self._tokens is not None and not access.knows_token(self._tokens, asked.tokens):
            detail = f"the header {access.TOKEN_HEADER} is missing or wrong"
            return to_problem(problems.TOKEN_REQUIRED, detail)
        if path == "/health":
            return self._health()
        if path.startswith(native_request.PREFIX):
            return await self._secret(native_request.parse(path, query), asked.if_none_match)
        if path == "/metrics" and self._metrics is not None:
            return self._metrics.reply(self.cache, asked.accept)
        paths = ["/cache/<name>", "/health", *([] if self._metrics is None else ["/metrics"])]
        return to_problem(problems.NOT_FOUND, f"there are {', '.join(paths)} and /ping")

    async def _secret(self, wanted: native_request.Target, if_none_match: Sequence[str]) -> Response:
        answer = await self.cache.get(
            wanted.name, version_id=wanted.version_id, version_stage=wanted.version_stage, refresh=wanted.refresh
        )
        content_type, body = representation.represent(answer.held, wanted.name, wanted.key)
        headers = representation.headers(answer)
        if representation.is_unchanged(if_none_match, headers["ETag"]):
            return Response(304, headers)
        return Response(200, {**headers, "Content-Type": content_type}, body, answer)

    def _health(self) -> Response:
        reports, wrong = self.cache.report(), self._wrong()
        is_servable = all(report.is_servable for report in reports)
        if not is_servable:
            status = "failing"
        elif wrong or any(report.state is State.STALE for report in reports):
            status = "degraded"
        else:
            status = "ok"
        body = {"status": status, "problems": wrong, "secrets": [_of_report(report) for report in reports]}
        return Response(
            200 if is_servable and not wrong else 503,
            {"Content-Type": representation.JSON, "Cache-Control": "no-store"},
            json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"),
        )


def to_problem(problem: Problem, detail: str, headers: dict[str, str] | None = None, **members: str) -> Response:
    """Return the reply that tells a problem, with further headers and members."""
    fields = {"Content-Type": problems.CONTENT_TYPE, "Cache-Control": "no-store", **(headers or {})}
    return Response(problem.status, fields, problem.body(detail, **members))


def _to_error(error: SecretsCacheError) -> Response:
    problem = problems.problem_of(error)
    headers = {}
    if isinstance(error, SecretUnavailable):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    members = {}
    if isinstance(error, SecretError) and problem.code.startswith("upstream-"):
        members["aws_code"] = error.code
    return to_problem(problem, str(error), headers, **members)


def _of_report(report: EntryReport) -> dict[str, object]:
    return {
        "name": report.name,
        "kind": report.kind.value,
        "state": report.state.value,
        "age_seconds": None if report.age is None else round(report.age, 3),
        "version_id": report.version_id,
        "error": report.error,
    }
