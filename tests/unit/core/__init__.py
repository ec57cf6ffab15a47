"""The tests of `secrets_cache.core`."""
