"""The tests of `secrets_cache.cli`."""
