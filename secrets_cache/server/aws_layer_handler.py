"""
The protocol of AWS's own layer, and of its agent: docs/migrating.md.

    request -> access -> aws_layer_request -> cache, for any name -> AWS's own JSON
                               every error -> a status and a text as from AWS's products

https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html
https://docs.aws.amazon.com/secretsmanager/latest/userguide/secrets-manager-agent.html

Rules
-----
1. Callers may ask for any name: IAM decides. So the token is mandatory, and everything that a caller can make the cache
   keep is bounded.
2. Access follows the rules of `access`, in the agent's words.
3. The layer answers every failure with status 400, and clients look for that; the agent passes on AWS's own error. Here
   AWS's errors have AWS's own status, code and words, in the agent's form, which suits both: nearly all have status
   400. Only where AWS did not answer is the status our own. What may pass carries Retry-After.
4. The layer was recorded to send its JSON as text, and some clients parse by content type.
"""

import base64
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from secrets_cache.config import AwsLayer
from secrets_cache.core.arn import find_region
from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.core.results import CacheResult
from secrets_cache.core.secret import AwsContext, Ref, Secret
from secrets_cache.errors import (
    InvalidRequest,
    SecretError,
    SecretNotFound,
    SecretRefused,
    SecretsCacheError,
    SecretTimeout,
    SecretUnavailable,
)
from secrets_cache.server import access, representation
from secrets_cache.server.aws_layer_request import AGENT_PREFIX, parse_aws_layer_request
from secrets_cache.server.handler import Handler
from secrets_cache.server.message import Request, Response
from secrets_cache.server.target import split_target

DEFAULT_TTL_SECONDS = 300.0
# The agent's own limit of roles; here regions count as well, since each context has connections of its own.
MAX_CONTEXTS = 20


class AwsLayerHandler(Handler):
    """
    Answers requests in the protocol of AWS's own layer. Raises nothing.

    Args:
        tokens: The tokens that callers may send; without any, every request but `/ping` is refused.
        layer: The settings from the variables of AWS's layer.
        region: The function's own.
    """

    # The agent accepts this one as well.
    token_headers = (access.TOKEN_HEADER, "X-Vault-Token")

    def __init__(self, *, cache: Cache, tokens: Sequence[str], layer: AwsLayer, region: str, clock: Clock) -> None:
        super().__init__(cache, clock)
        self._tokens = tokens
        self._layer = layer
        self._region = region
        # The roles and regions that were used with success, and how many requests try each one that was not.
        self._contexts: set[AwsContext] = set()
        self._tried: Counter[AwsContext] = Counter()

    def _build_error_response(self, error: SecretsCacheError) -> Response:
        if isinstance(error, InvalidRequest):
            return _build_text_response(400, error.reason)
        status, code, message = _describe(error)
        response = _build_json_response(status, {"__type": code, "message": message})
        if isinstance(error, SecretUnavailable):
            response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
        return response

    def _build_failure_response(self) -> Response:
        return _build_json_response(500, {"__type": "InternalFailure"})

    async def _handle(self, request: Request) -> Response:
        if request.forwarded:
            return _build_text_response(400, "Forwarded")
        if access.find_refusal(request) is not None:
            return _build_text_response(403, "Forbidden")
        path, query = split_target(request.target)
        is_ping = path == "/ping"
        if not is_ping and not access.accepts_token(self._tokens, request.tokens):
            return _build_text_response(403, "Bad Token")
        if request.method != "GET":
            return _build_text_response(405, "Not allowed", {"Allow": "GET"})
        if is_ping:
            return _build_text_response(200, "healthy")
        try:
            response = await self._answer(path, query)
        except SecretsCacheError as error:
            response = self._build_error_response(error)
        if not path.startswith(AGENT_PREFIX):
            response.headers["Content-Type"] = representation.TEXT
        return response

    async def _answer(self, path: str, query: str) -> Response:
        layer_request = parse_aws_layer_request(path, query)
        if layer_request is None:
            return _build_text_response(404, "Not found")
        ref = layer_request.ref
        with self._limit_contexts(ref):
            result = await self._get_result(ref, refresh=layer_request.refresh)
        body = _build_parameter(result.secret) if ref.is_parameter else _build_secret(result.secret)
        return _build_json_response(200, body, result)

    async def _get_result(self, ref: Ref, *, refresh: bool) -> CacheResult:
        timeout = self._layer.parameter_timeout if ref.is_parameter else self._layer.secret_timeout
        return await self.cache.get_any(
            ref, max_age_seconds=self._find_max_age(ref), refresh=refresh, timeout_seconds=timeout or 0.0
        )

    @contextmanager
    def _limit_contexts(self, ref: Ref) -> Iterator[None]:
        """
        Refuse a new role or region once `MAX_CONTEXTS` are in use, since each has connections of its own.

        One that nobody could use, such as a mistyped role, counts only while it is tried.
        """
        context = ref.context._replace(region=find_region(ref.secret_id, own=self._region))
        if context == AwsContext() or context in self._contexts:
            yield
            return
        if context not in self._tried and len(self._contexts) + len(self._tried) >= MAX_CONTEXTS:
            message = f"allowed: {MAX_CONTEXTS} roles and regions"
            raise SecretRefused(ref.secret_id, code="MaxRolesExceeded", aws_message=message)
        self._tried[context] += 1
        try:
            yield
            self._contexts.add(context)
        except SecretError as error:
            if error.is_answer:
                self._contexts.add(context)
            raise
        finally:
            self._tried[context] -= 1
            if not self._tried[context] or context in self._contexts:
                self._tried.pop(context)

    def _find_max_age(self, ref: Ref) -> float:
        """Return the age in seconds at which a value is too old; infinite for a listed one, which has its own ttl."""
        if not self._layer.is_cached or not self._layer.cache_size:
            return 0.0
        ttl = self._layer.parameter_ttl if ref.is_parameter else self._layer.secret_ttl
        if ttl is not None:
            return ttl
        return float("inf") if self.cache.is_listed(ref) else DEFAULT_TTL_SECONDS


def _describe(error: SecretsCacheError) -> tuple[int, str, str]:
    """Return the status, AWS's code and AWS's words for an error."""
    if isinstance(error, SecretTimeout):
        return 504, "TimeoutError", "Timeout"
    if isinstance(error, SecretRefused) and error.what == "role":
        return 403, "AccessDeniedException", error.aws_message or str(error)
    if isinstance(error, SecretRefused):
        return error.aws_status or 400, error.code, error.aws_message
    if isinstance(error, SecretNotFound):
        return error.aws_status or 400, error.code, error.aws_message or str(error)
    if isinstance(error, SecretUnavailable) and error.aws_status:
        return error.aws_status, error.code, error.aws_message or error.cause
    return 502, "ConnectionError", str(error)


def _build_text_response(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    fields = {"Content-Type": representation.TEXT, "Cache-Control": "no-store", **(headers or {})}
    return Response(status, fields, text.encode("utf-8", "replace"))


def _build_json_response(status: int, body: object, result: CacheResult | None = None) -> Response:
    headers = {"Content-Type": representation.JSON, "Cache-Control": "no-store"}
    if result is not None:
        of_value = representation.build_headers(result)
        headers |= {name: of_value[name] for name in ("Date", "Cache-Status")}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(status, headers, text.encode("utf-8", "backslashreplace"), result)


def _build_secret(secret: Secret) -> dict[str, object]:
    """Return the body of AWS's layer: the output of its SDK, with null for what is missing."""
    return {
        "ARN": secret.arn,
        "CreatedDate": format_iso8601(secret.created_at),
        "Name": secret.name,
        "SecretBinary": None if secret.is_text else base64.b64encode(secret.value).decode(),
        "SecretString": secret.value.decode() if secret.is_text else None,
        "VersionId": secret.version_id,
        "VersionStages": list(secret.stages) or None,
        "ResultMetadata": {},
    }


def _build_parameter(secret: Secret) -> dict[str, object]:
    facts = secret.parameter
    return {
        "Parameter": {
            "ARN": secret.arn or None,
            "DataType": facts and facts.data_type,
            "LastModifiedDate": format_iso8601(secret.created_at),
            "Name": secret.name,
            "Selector": facts and facts.selector,
            "SourceResult": facts and facts.source_result,
            "Type": facts and facts.type,
            # Of a reference to a binary secret, only SourceResult has the secret.
            "Value": secret.value.decode() if secret.is_text else None,
            "Version": facts and facts.version,
        },
        "ResultMetadata": {},
    }


def format_iso8601(seconds: float | None) -> str | None:
    """Return a time, in seconds since the epoch, as ISO 8601 in UTC with milliseconds; None for no time."""
    if seconds is None:
        return None
    milliseconds = round(seconds * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03d}Z"
