"""The names of regions: which may be AWS's, and which one a wrong one means."""

import pytest

from secrets_cache.aws.endpoint_table import REGIONS
from secrets_cache.aws.region_names import is_likely_region, suggest_region


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("eu-wst-1", "eu-west-1"),
        ("us-gov-wst-1", "us-gov-west-1"),
        ("EU-West-1", "eu-west-1"),
        ("eu_west_1", "eu-west-1"),
        ("eu-west-1a", "eu-west-1"),
        ("us-esat-2", "us-east-2"),
        ("eu-west", ""),
        ("Ireland", ""),
        ("", ""),
        ("-", ""),
        ("eu-west-x", ""),
    ],
)
def test_a_wrong_name_means_the_nearest_region(name, expected):
    """By its parts; what is no region's name in any reading means none."""
    assert (False, expected) == (is_likely_region(name), suggest_region(name))


@pytest.mark.parametrize("name", [*REGIONS, "eu-west-9", "us-gov-south-1"])
def test_a_region_that_may_exist_is_left_alone(name):
    """AWS adds regions faster than this program is released."""
    assert (True, "") == (is_likely_region(name), suggest_region(name))
