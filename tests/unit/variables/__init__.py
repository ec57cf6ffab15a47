"""The tests of `secrets_cache.variables`."""
