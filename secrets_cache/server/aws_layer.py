"""
What requests get where the protocol of AWS's own layer, and of its agent, is spoken: docs/migrating.md.

    asked -> may it ask at all? -> what does it ask? -> the cache, whatever it is -> AWS's own JSON
                                            every error -> a status and a text as theirs

https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html
https://docs.aws.amazon.com/secretsmanager/latest/userguide/secrets-manager-agent.html

Rules
-----
1. Any name may be asked for: IAM decides. So the token is mandatory, and everything that a caller can make us keep is
   bounded.
2. The rules of who may ask are those of `admission`, told in the agent's words.
3. The layer answers every failure with status 400, and clients look for that; the agent hands on AWS's own error. Here
   AWS's errors have status 400 and the agent's form, which is good for both.
"""

import asyncio
import base64
import json
import time
from collections.abc import Sequence

from secrets_cache.config import AwsLayer
from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.core.results import CacheResult
from secrets_cache.core.secret import AwsContext, Ref, Secret
from secrets_cache.errors import InvalidRequest, SecretNotFound, SecretRefused, SecretsCacheError, SecretTimeout
from secrets_cache.server import access, aws_layer_request, native_request, representation
from secrets_cache.server.handler import Handler, Request, Response, why_forbidden

DEFAULT_TTL_SECONDS = 300.0
# The agent's own limit; here regions count as well, since each place has connections of its own.
MAX_PLACES = 20
PLAIN = {"Content-Type": representation.TEXT}


class AwsLayerHandler(Handler):
    """
    Replies to what is asked in the protocol of AWS's own layer. Raises nothing.

    Args:
        cache: What is served.
        tokens: The tokens a caller may send; without any, nobody gets anything.
        layer: What the variables of AWS's layer say.
        region: The function's own.
        clock: What time it is.
    """

    # The agent takes this one as well.
    token_headers = (access.TOKEN_HEADER, "X-Vault-Token")

    def __init__(self, *, cache: Cache, tokens: Sequence[str], layer: AwsLayer, region: str, clock: Clock) -> None:
        super().__init__(cache, clock)
        self._tokens = tokens
        self._layer = layer
        self._region = region
        self._places: set[AwsContext] = set()

    def _of_error(self, error: SecretsCacheError) -> Response:
        if isinstance(error, InvalidRequest):
            return _text(400, error.reason)
        if isinstance(error, SecretTimeout):
            return _json(504, {"__type": "TimeoutError", "message": "Timeout"})
        if isinstance(error, SecretRefused) and error.what == "role":
            return _json(403, {"__type": "AccessDeniedException", "message": str(error)})
        if isinstance(error, SecretRefused):
            return _json(400, {"__type": error.code, "message": error.aws_message})
        if isinstance(error, SecretNotFound):
            return _json(400, {"__type": error.code, "message": str(error)})
        return _json(502, {"__type": "ConnectionError", "message": str(error)})

    def _of_failure(self) -> Response:
        return _json(500, {"__type": "InternalFailure"})

    def _of_no_request(self, reason: str) -> Response:
        return _text(400, reason)

    async def _reply(self, asked: Request) -> Response:
        if asked.forwarded:
            return _text(400, "Forwarded")
        if why_forbidden(asked) is not None:
            return _text(403, "Forbidden")
        path, query = native_request.path_of(asked.target)
        is_ping = path == "/ping"
        if not is_ping and not access.knows_token(self._tokens, asked.tokens):
            return _text(403, "Bad Token")
        if asked.method != "GET":
            return _text(405, "Not allowed", {"Allow": "GET"})
        if is_ping:
            return _text(200, "healthy")
        wanted = aws_layer_request.parse(path, query)
        if wanted is None:
            return _text(404, "Not found")
        return await self._found(wanted)

    async def _found(self, wanted: aws_layer_request.Wanted) -> Response:
        self._admit(wanted.ref)
        timeout = self._layer.parameter_timeout if wanted.ref.is_parameter else self._layer.secret_timeout
        try:
            async with asyncio.timeout(timeout):
                answer = await self.cache.get_any(wanted.ref, max_age=self._max_age(wanted.ref), refresh=wanted.refresh)
        except TimeoutError:
            raise SecretTimeout(wanted.ref.secret_id, budget_seconds=timeout or 0) from None
        body = _parameter(answer.secret) if wanted.ref.is_parameter else _secret(answer.secret)
        return _json(200, body, answer)

    def _admit(self, ref: Ref) -> None:
        """Refuse a place that would be one too many: each has connections of its own. The function's own never is."""
        parts = ref.secret_id.split(":")
        region = parts[3] if ref.secret_id.startswith("arn:") else ""
        place = ref.access._replace(region="" if region == self._region else region)
        if place == AwsContext() or place in self._places:
            return
        if len(self._places) >= MAX_PLACES:
            message = f"allowed: {MAX_PLACES} roles and regions"
            raise SecretRefused(ref.secret_id, code="MaxRolesExceeded", aws_message=message)
        self._places.add(place)

    def _max_age(self, ref: Ref) -> float:
        """Return the age at which a value is too old: a listed one has the ttl that it is listed with."""
        if not self._layer.is_cached or not self._layer.cache_size:
            return 0.0
        ttl = self._layer.parameter_ttl if ref.is_parameter else self._layer.secret_ttl
        if ttl is not None:
            return ttl
        return float("inf") if self.cache.is_listed(ref) else DEFAULT_TTL_SECONDS


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(status, {**PLAIN, "Cache-Control": "no-store", **(headers or {})}, text.encode("utf-8", "replace"))


def _json(status: int, body: object, answer: CacheResult | None = None) -> Response:
    fields = {"Content-Type": representation.JSON, "Cache-Control": "no-store"}
    if answer is not None:
        held = representation.headers(answer)
        fields |= {name: held[name] for name in ("Date", "Cache-Status")}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(status, fields, text.encode("utf-8", "backslashreplace"), answer)


def _secret(secret: Secret) -> dict[str, object]:
    """Return what AWS's layer answers: the output of its SDK, with what is not there as null."""
    return {
        "ARN": secret.arn,
        "CreatedDate": iso(secret.created_at),
        "Name": secret.name,
        "SecretBinary": None if secret.is_text else base64.b64encode(secret.value).decode(),
        "SecretString": secret.value.decode() if secret.is_text else None,
        "VersionId": secret.version_id,
        "VersionStages": list(secret.stages) or None,
        "ResultMetadata": {},
    }


def _parameter(secret: Secret) -> dict[str, object]:
    facts = secret.parameter
    return {
        "Parameter": {
            "ARN": secret.arn or None,
            "DataType": facts and facts.data_type,
            "LastModifiedDate": iso(secret.created_at),
            "Name": secret.name,
            "Selector": facts and facts.selector,
            "SourceResult": facts and facts.source_result,
            "Type": facts and facts.type,
            "Value": secret.value.decode(),
            "Version": facts and facts.version,
        },
        "ResultMetadata": {},
    }


def iso(seconds: float | None) -> str | None:
    """Return a time as ISO 8601 has it, in UTC with milliseconds."""
    if seconds is None:
        return None
    milliseconds = round(seconds * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03d}Z"
