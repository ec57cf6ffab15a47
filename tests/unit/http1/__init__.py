"""The tests of `secrets_cache.http1`."""
