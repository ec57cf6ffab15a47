"""
docs/layer-arns.md: the ARNs of what was published, by region.

The page is read before it is written, so that a run for one region keeps the rows of the others. Nothing here reads or
writes files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tools.publish import PublishError

HEAD = """\
# ARNs of the layer

`make publish` writes this page ([how](releasing.md#publishing-the-layer)); changes made by hand are lost.
"""
NOTHING = """
Nothing has been published yet. [Deploying](deploy.md) says how to publish the layer into your own account.
"""
USE = """
Take the ARN of the function's region and architecture. The command replaces the function's list of layers, so name its
other layers as well; `config.yaml` and permissions are as for [any way of deploying](deploy.md).

```shell
aws lambda update-function-configuration --region {region} --function-name orders-api \\
  --layers {arn}
```

"""
HEADINGS = "| region | version | x86_64 | arm64 |"
RULE = "| --- | --- | --- | --- |"
ROW = re.compile(r"\| ([a-z0-9-]+) \| ([^ |]+) \| `(arn:[^`|]+)` \| `(arn:[^`|]+)` \|")


@dataclass(frozen=True, slots=True)
class Row:
    """What a region has: the project's version, and an ARN for each architecture."""

    version: str
    x86_64: str
    arm64: str


def parse(text: str, name: str) -> dict[str, Row]:
    """
    Return the rows of the page by region.

    Args:
        text: The page; empty if there is none yet.
        name: What to call it in an error.

    Raises:
        PublishError: A row is not one that `render` writes.
    """
    rows: dict[str, Row] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith(("|", "<<<", "===", ">>>")) or line in {HEADINGS, RULE}:
            continue
        match = ROW.fullmatch(line)
        if match is None or match[1] in rows:
            raise PublishError(
                f"{name}: line {number}: found {line[:100]!r}; allowed: one row for each region, as make publish writes"
                f" it; mend the page, or get it back with: git checkout {name}"
            )
        rows[match[1]] = Row(match[2], match[3], match[4])
    return rows


def render(rows: Mapping[str, Row]) -> str:
    """Return the page; the same rows give the same text."""
    if not rows:
        return HEAD + NOTHING
    region = min(rows)
    table = [f"| {name} | {row.version} | `{row.x86_64}` | `{row.arm64}` |" for name, row in sorted(rows.items())]
    return HEAD + USE.format(region=region, arn=rows[region].x86_64) + "\n".join([HEADINGS, RULE, *table]) + "\n"
