"""What a configuration lists, as the cache keeps it: the names that each is served as, and for how long it is good."""

from secrets_cache.config import Config, ListedSecret
from secrets_cache.core.freshness import FreshnessPolicy
from secrets_cache.core.registry import ListedEntry


def listed_by(config: Config) -> list[ListedEntry]:
    """Return what `config` lists, with the names that each is served as: its own name first, then its id."""
    own = {item.name for item in config.listed}
    return [
        ListedEntry(
            ref=item.ref,
            names=(item.name, *(name for name in _ids(item) if name not in own)),
            policy=policy_of(config, item.ttl_seconds),
        )
        for item in config.listed
    ]


def _ids(item: ListedSecret) -> list[str]:
    """Return what an item is served as besides its name. Many clients make one slash of the two in `/cache//prod/x`."""
    secret_id = item.ref.secret_id
    return [secret_id, secret_id[1:]] if item.ref.is_parameter and secret_id[:1] == "/" else [secret_id]


def policy_of(config: Config, ttl_seconds: float | None = None) -> FreshnessPolicy:
    """Return for how long a value is good; with the general ttl, if it has none of its own."""
    return FreshnessPolicy(
        ttl=config.ttl if ttl_seconds is None else ttl_seconds,
        refresh_ahead=config.refresh_ahead,
        stale_while_revalidate=config.stale_while_revalidate,
        stale_if_error=config.stale_if_error,
    )
