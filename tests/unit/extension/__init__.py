"""The tests of `secrets_cache.extension`."""
