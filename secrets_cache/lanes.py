"""The switch of the two fast lanes, `server.lane` and `secretsmanager.lane`: for support, and for the tests."""

from collections.abc import Mapping


def has_lanes(environ: Mapping[str, str]) -> bool:
    """Return whether the common call and the common request may pass the engines by."""
    return environ.get("SECRETS_CACHE_LANES", "").strip() != "0"
