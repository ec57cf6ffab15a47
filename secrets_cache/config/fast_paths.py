"""The switch of all fast lanes (each package's `lane` module): for support, and for the tests."""

from collections.abc import Mapping


def has_lanes(environ: Mapping[str, str]) -> bool:
    """Return whether what is common may pass the engines by."""
    return environ.get("SECRETS_CACHE_LANES", "").strip() != "0"
