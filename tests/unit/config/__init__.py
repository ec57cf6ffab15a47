"""The tests of `secrets_cache.config`."""
