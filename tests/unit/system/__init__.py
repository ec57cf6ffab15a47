"""The tests of `secrets_cache.system`."""
