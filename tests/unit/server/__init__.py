"""The tests of `secrets_cache.server`."""
