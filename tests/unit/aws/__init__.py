"""The tests of `secrets_cache.aws`."""
