"""The names of regions, checked by the data that botocore has of all partitions."""

import difflib
import re

from botocore.loaders import Loader

from tools.publish import PublishError

EXAMPLE = "eu-west-1 us-east-1"


def known() -> frozenset[str]:
    """Return every region that has Lambda, of all partitions."""
    # Not by a session: that reads the AWS configuration, and fails where that is broken.
    partitions = Loader().load_data("endpoints")["partitions"]
    return frozenset(
        region
        for partition in partitions
        for region in partition["services"].get("lambda", {}).get("endpoints", {})
        if region in partition["regions"]
    )


def parse(text: str) -> tuple[str, ...]:
    """
    Return the regions that a text names, each once, in its order; blanks or commas are between them.

    Raises:
        PublishError: There is none, or one that is not a region; the text has the name that was probably meant.
    """
    names = tuple(dict.fromkeys(re.findall(r"[^\s,]+", text)))
    if not names:
        raise PublishError(f'REGIONS: found none; allowed: names of AWS regions, such as REGIONS="{EXAMPLE}"')
    regions = known()
    wrong = [_describe(name, regions) for name in names if name not in regions]
    if wrong:
        raise PublishError(
            f"REGIONS: found {', '.join(wrong)}; allowed: AWS regions that have Lambda (for one that is newer than the "
            "locked botocore: make lock)"
        )
    return names


def _describe(name: str, regions: frozenset[str]) -> str:
    near = difflib.get_close_matches(name, sorted(regions), 1)
    return f"'{name}'" + (f" (did you mean {near[0]}?)" if near else "")
