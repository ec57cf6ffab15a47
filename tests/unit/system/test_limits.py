"""How many connections the limits allow; the limits themselves are set in processes of their own."""

import resource

import pytest

from secrets_cache.system.limits import MAX_DESCRIPTORS, RESERVED_DESCRIPTORS, find_max_connections


@pytest.mark.parametrize(
    ("soft", "room"),
    [
        (resource.RLIM_INFINITY, MAX_DESCRIPTORS - RESERVED_DESCRIPTORS),
        (MAX_DESCRIPTORS + 1, MAX_DESCRIPTORS - RESERVED_DESCRIPTORS),
        (1024, 1024 - RESERVED_DESCRIPTORS),
        (128, 64),
        (1, 1),
    ],
)
def test_descriptors_are_reserved_for_everything_else(monkeypatch, soft, room):
    """As many as the rule says, or half of few; callers always have one."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (soft, resource.RLIM_INFINITY))

    assert room == find_max_connections()
