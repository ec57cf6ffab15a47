"""
Our own protocol: `/cache/<name>`, `/health`, `/metrics` and `/ping`, as docs/http.md describes it.

    request -> access -> native_request -> cache -> representation -> response
                             every error -> problems -> response
"""

import contextlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from secrets_cache.config import Config
from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.core.freshness import State
from secrets_cache.core.results import EntryReport
from secrets_cache.core.text import shorten
from secrets_cache.errors import InvalidRequest, KeyNotFound, SecretNotConfigured, SecretsCacheError
from secrets_cache.server import access, problems, representation
from secrets_cache.server.handler import Handler
from secrets_cache.server.message import Request, Response
from secrets_cache.server.native_request import PREFIX, parse_native_request
from secrets_cache.server.target import decode, split_target

if TYPE_CHECKING:
    from secrets_cache.server.metrics_page import MetricsPage
    from secrets_cache.server.refusals import RefusalLog

METHODS = ("GET", "HEAD")
# Of a method that is not allowed, this much is shown.
MAX_METHOD = 20
AWS_PORT_VARIABLE = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"


class NativeHandler(Handler):
    """
    Answers requests in our own protocol. Raises nothing.

    Args:
        tokens: The tokens that callers may send; None if no token is needed.
        list_problems: Returns what makes `/health` 503: what is wrong with the configuration, and what is missing.
        config: Returns the configuration in force, which says why a name may not be listed.
        list_warnings: Returns what `/health` lists though it is no failure: that there is no configuration.
        metrics: The page at `/metrics`; None for no page, where the path is unknown like any other.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        tokens: Sequence[str] | None,
        list_problems: Callable[[], Sequence[str]],
        clock: Clock,
        config: Callable[[], Config] = Config,
        list_warnings: Callable[[], Sequence[str]] = tuple,
        metrics: "MetricsPage | None" = None,
    ) -> None:
        super().__init__(cache, clock)
        self._tokens = tokens
        self._list_problems = list_problems
        self._config = config
        self._list_warnings = list_warnings
        self._metrics = metrics
        self._refusal_log: RefusalLog | None = None

    def _build_error_response(self, error: SecretsCacheError) -> Response:
        if isinstance(error, SecretNotConfigured):
            error = self._get_refusal_log().note_unlisted(self.cache, error.name, self._config())
        return problems.build_error_response(error)

    def _get_refusal_log(self) -> "RefusalLog":
        if self._refusal_log is None:
            from secrets_cache.server.refusals import RefusalLog  # noqa: PLC0415 - only for what is refused

            self._refusal_log = RefusalLog()
        return self._refusal_log

    def _build_failure_response(self) -> Response:
        return problems.INTERNAL_ERROR.build_response(
            "an unexpected error occurred; look for internal.error in the log"
        )

    async def _handle(self, request: Request) -> Response:
        if (refusal := access.find_refusal(request)) is not None:
            return problems.FORBIDDEN.build_response(refusal)
        if request.method not in METHODS:
            detail = f"the method {shorten(request.method, MAX_METHOD)} is not allowed; use {' or '.join(METHODS)}"
            return problems.METHOD_NOT_ALLOWED.build_response(detail, {"Allow": ", ".join(METHODS)})
        path, query = split_target(request.target)
        if path == "/ping":
            return Response(200, {"Content-Type": representation.TEXT}, b"healthy")
        if self._tokens is not None and not access.accepts_token(self._tokens, request.tokens):
            detail = f"the header {access.TOKEN_HEADER} is missing or wrong; send the configured token in it, once"
            return problems.TOKEN_REQUIRED.build_response(detail)
        if path == "/health":
            return self._report_health()
        if path.startswith(PREFIX):
            return await self._get_secret(path, query, request.if_none_match)
        if path == "/metrics" and self._metrics is not None:
            return self._metrics.render(self.cache, request.accept)
        return problems.NOT_FOUND.build_response(self._describe_paths(path))

    def _describe_paths(self, path: str) -> str:
        """Return what is served instead of an unknown path, in one sentence."""
        from secrets_cache.server.aws_layer_request import is_aws_layer_path  # noqa: PLC0415 - only for unknown paths

        if is_aws_layer_path(path):
            port = self._config().aws_port
            advice = f"ask port {port}" if port else f"set {AWS_PORT_VARIABLE}=2773, and ask that port"
            return f"this path belongs to the protocol of AWS's own layer, which this port does not serve; {advice}"
        paths = [f"{PREFIX}<name>", "/health", *([] if self._metrics is None else ["/metrics"])]
        return f"the paths of this server are {', '.join(paths)} and /ping"

    async def _get_secret(self, path: str, query: str, if_none_match: Sequence[str]) -> Response:
        try:
            request = parse_native_request(path, query)
            result = await self.cache.get(
                request.name,
                version_id=request.version_id,
                version_stage=request.version_stage,
                refresh=request.refresh,
            )
            represented = representation.represent(result.held, request.name, request.key)
        except (InvalidRequest, KeyNotFound) as error:
            return self._refuse(path, error)
        headers = representation.build_headers(result)
        if representation.matches_etag(if_none_match, headers["ETag"]):
            return Response(304, headers)
        headers["Content-Type"] = represented.content_type
        return Response(200, headers, represented.body, result)

    def _refuse(self, path: str, error: InvalidRequest | KeyNotFound) -> Response:
        """Return the response to a request for a secret that is wrong in anything but the name; log it."""
        # An escape in the name may be what is wrong.
        with contextlib.suppress(InvalidRequest):
            name, code = decode(path.removeprefix(PREFIX)), problems.find_problem_type(error).code
            self._get_refusal_log().note_refused(self.cache, name, code, error)
        return problems.build_error_response(error)

    def _report_health(self) -> Response:
        reports, found, warnings = self.cache.report(), self._list_problems(), self._list_warnings()
        is_servable = all(report.is_servable for report in reports)
        if not is_servable:
            status = "failing"
        elif found or warnings or any(report.state is State.STALE for report in reports):
            status = "degraded"
        else:
            status = "ok"
        secrets = [_describe_entry(report) for report in reports]
        body = {"status": status, "problems": [*found, *warnings], "secrets": secrets}
        return Response(
            200 if is_servable and not found else 503,
            {"Content-Type": representation.JSON, "Cache-Control": "no-store"},
            json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"),
        )


def _describe_entry(report: EntryReport) -> dict[str, object]:
    return {
        "name": report.name,
        "kind": report.kind.value,
        "state": report.state.value,
        "age_seconds": None if report.age is None else round(report.age, 3),
        "version_id": report.version_id,
        "error": report.error,
    }
