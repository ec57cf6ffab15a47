"""
AWS Secrets Manager: one secret, or many at once.

    source (what to ask for, together or singly, within which time)
      -> lane (the common call: signing, wire), else engine (any call: client, through aiobotocore)
      -> answers (what AWS's answer, or its error, means)

Rules
-----
1. Only this package knows AWS's error codes. Outside it there are definite refusals and passing failures.
2. An answer's body may hold a secret: nothing of it is shown but AWS's error code, and its message without our
   credentials.
3. Importing aiobotocore is slow: that is done when a call needs it, not before.
"""

from collections.abc import Mapping

from secrets_cache.aws.direct import in_front_of
from secrets_cache.aws.engine import Engine, RoleCredentials
from secrets_cache.aws.errors import is_about_key, is_about_permission, malformed, timestamp
from secrets_cache.aws.limiter import Limiter
from secrets_cache.aws.secretsmanager import BATCH_ABOVE, KEEPALIVE_SECONDS, MAX_CONNECTIONS, Calls, SecretsManager
from secrets_cache.core.clock import Clock
from secrets_cache.system.clock import random_fraction

__all__ = [
    "BATCH_ABOVE",
    "MAX_CONNECTIONS",
    "Calls",
    "Engine",
    "Limiter",
    "RoleCredentials",
    "SecretsManager",
    "is_about_key",
    "is_about_permission",
    "malformed",
    "of_environment",
    "timestamp",
]


def of_environment(
    environ: Mapping[str, str],
    *,
    budget_seconds: float,
    batch_above: int | None,
    clock: Clock,
    keepalive_seconds: float = KEEPALIVE_SECONDS,
    role: RoleCredentials | None = None,
    max_connections: int = MAX_CONNECTIONS,
) -> SecretsManager:
    """
    Return the source that the environment describes.

    Args:
        environ: The environment variables.
        budget_seconds: As `SecretsManager` takes it.
        batch_above: The same.
        clock: The same.
        keepalive_seconds: How long an idle connection is kept.
        role: Whose the calls are; None for whoever the credentials of the environment are.
        max_connections: How many calls may be under way at once.
    """
    # The budget ends an attempt; this only keeps a call that outlives it from waiting for ever.
    timeout = budget_seconds + 1
    region = environ.get("AWS_REGION") or None
    engine = Engine(timeout_seconds=timeout, keepalive_seconds=keepalive_seconds, region=region, role=role, clock=clock)
    # The lane signs with the credentials of the environment.
    calls = engine if role is not None else in_front_of(engine, environ, clock, keepalive_seconds)
    return SecretsManager(
        budget_seconds=budget_seconds,
        batch_above=batch_above,
        calls=calls,
        clock=clock,
        random=random_fraction,
        max_connections=max_connections,
    )
