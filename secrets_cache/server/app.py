"""The aiohttp side of the server: sockets in, responses out."""

import asyncio
import json
import logging
import math
import socket
from collections.abc import Sequence
from http import HTTPStatus
from typing import Self

from aiohttp import web

from secrets_cache.cache import Cache, Report
from secrets_cache.errors import SecretError, SecretsCacheError, SecretUnavailable
from secrets_cache.freshness import State
from secrets_cache.logs import describe
from secrets_cache.server import admission, problems, representation, target
from secrets_cache.server.problems import Problem

logger = logging.getLogger(__name__)

METHODS = ("GET", "HEAD")
# For callers that still wait when it is time to go. Not 0, which aiohttp takes as "for ever".
SHUTDOWN_SECONDS = 0.05


class Server:
    """
    Answers on listening sockets. An async context manager: entered, it serves; left, it stops at once.

    Args:
        cache: What is served.
        tokens: The tokens a caller may send; None if none is needed.
        config_problems: What is wrong with the configuration, for `/health`.
        sockets: Sockets that listen already.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        tokens: Sequence[str] | None,
        config_problems: Sequence[str],
        sockets: Sequence[socket.socket],
    ) -> None:
        self._cache = cache
        self._tokens = tokens
        self._config_problems = tuple(config_problems)
        self._sockets = sockets
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(
            _HttpServer(self._respond), handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        for listener in self._sockets:
            await web.SockSite(self._runner, listener).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        try:
            response = await self._answer(request)
        except SecretsCacheError as error:
            response = _error_response(error)
        except Exception as error:  # noqa: BLE001 - rule 3: a caller never sees more than that there was one
            logger.error("internal.error", {"where": "request", **describe(error)})  # noqa: TRY400
            response = _problem_response(problems.INTERNAL_ERROR, "see the log")
        logger.debug("request", {"method": request.method, "status": response.status})
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        present = [name for name in admission.FORWARDING_HEADERS if name in request.headers]
        if forbidden := admission.why_forbidden(request.headers.getall("Host", []), present):
            return _problem_response(problems.FORBIDDEN, forbidden)
        if request.method not in METHODS:
            detail = f"{request.method[:20]} is not allowed"
            return _problem_response(problems.METHOD_NOT_ALLOWED, detail, {"Allow": ", ".join(METHODS)})
        path, query = target.path_of(request.raw_path)
        if path == "/ping":
            return web.Response(text="healthy")
        if self._tokens is not None and not admission.knows_token(
            self._tokens, request.headers.getall(admission.TOKEN_HEADER, [])
        ):
            detail = f"the header {admission.TOKEN_HEADER} is missing or wrong"
            return _problem_response(problems.TOKEN_REQUIRED, detail)
        if path == "/health":
            return self._health()
        if path.startswith(target.PREFIX):
            return await self._secret(target.parse(path, query), request.headers.get("If-None-Match"))
        return _problem_response(problems.NOT_FOUND, "there are /cache/<name>, /health and /ping")

    async def _secret(self, asked: target.Target, if_none_match: str | None) -> web.Response:
        answer = await self._cache.get(
            asked.name, version_id=asked.version_id, version_stage=asked.version_stage, refresh=asked.refresh
        )
        content_type, body = representation.represent(answer.held, asked.name, asked.key)
        headers = representation.headers(answer)
        if representation.is_unchanged(if_none_match, headers["ETag"]):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return web.Response(body=body, headers={**headers, "Content-Type": content_type})

    def _health(self) -> web.Response:
        reports = self._cache.report()
        servable = all(report.is_servable for report in reports)
        if not servable:
            status = "failing"
        elif self._config_problems or any(report.state is State.STALE for report in reports):
            status = "degraded"
        else:
            status = "ok"
        body = {
            "status": status,
            "problems": self._config_problems,
            "secrets": [_of_report(report) for report in reports],
        }
        return web.Response(
            status=HTTPStatus.OK if servable and not self._config_problems else HTTPStatus.SERVICE_UNAVAILABLE,
            body=json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"),
            headers={"Content-Type": representation.JSON, "Cache-Control": "no-store"},
        )


def _of_report(report: Report) -> dict[str, object]:
    return {
        "name": report.name,
        "state": report.state.value,
        "age_seconds": None if report.age is None else round(report.age, 3),
        "version_id": report.version_id,
        "error": report.error,
    }


def _problem_response(
    problem: Problem, detail: str, headers: dict[str, str] | None = None, **members: str
) -> web.Response:
    return web.Response(
        status=problem.status,
        body=problem.body(detail, **members),
        headers={"Content-Type": problems.CONTENT_TYPE, "Cache-Control": "no-store", **(headers or {})},
    )


def _error_response(error: SecretsCacheError) -> web.Response:
    problem = problems.problem_of(error)
    headers = {}
    if isinstance(error, SecretUnavailable):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    members = {}
    if isinstance(error, SecretError) and problem.code.startswith("upstream-"):
        members["aws_code"] = error.code
    return _problem_response(problem, str(error), headers, **members)


class _HttpServer(web.Server):
    """aiohttp's server, speaking through `_Connection`, without an access log."""

    def __call__(self) -> "_Connection":
        """Return the protocol of a new connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=None)  # type: ignore[arg-type]


class _Connection(web.RequestHandler):
    """aiohttp's connection, answering what is no HTTP request in our words instead of with what it was sent."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it holds what was sent
    ) -> web.StreamResponse:
        """Return the answer to a request that could not be read, after which the connection is closed."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("internal.error", {"where": "connection", **(describe(exc) if exc else {})})
            response = _problem_response(problems.INTERNAL_ERROR, "see the log")
        else:
            response = _problem_response(problems.INVALID_REQUEST, "what was received is no HTTP/1.1 request")
        response.force_close()
        return response
