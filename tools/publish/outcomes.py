"""What is decided from AWS's answers, and what is said of the results. Nothing here calls AWS."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of one architecture in one region.

    Attributes:
        arn: The layer version that holds the zip; empty if none is known to.
        is_new: This run has published it.
        is_newly_shared: This run has shared it with everyone.
        failure: What went wrong after that, in AWS's words; empty if nothing did.
    """

    region: str
    architecture: str
    arn: str = ""
    is_new: bool = False
    is_newly_shared: bool = False
    failure: str = ""


def candidates(versions: Sequence[Mapping[str, Any]], architecture: str, description: str) -> list[int]:
    """
    Return the versions of a layer that may hold a zip, the newest first.

    Only one call for each version tells its sum. So these are the newest version for the architecture, which deploy.sh
    looks at too, and those with the same description, which has the project's version in it.
    """
    ours = sorted(
        (version for version in versions if architecture in (version.get("CompatibleArchitectures") or ())),
        key=lambda version: int(version["Version"]),
        reverse=True,
    )
    return [
        int(version["Version"])
        for place, version in enumerate(ours)
        if place == 0 or version.get("Description") == description
    ]


def has_statement(policy: str, statement: str) -> bool:
    """Return whether a policy, as JSON or empty, has a statement of this name."""
    return any(one.get("Sid") == statement for one in json.loads(policy or "{}").get("Statement", ()))


def is_done(outcomes: Sequence[Outcome], architectures: Sequence[str]) -> bool:
    """Return whether a region has all that was asked for: each architecture, and no failure."""
    return [outcome.architecture for outcome in outcomes if not outcome.failure] == list(architectures)


def lines(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    """Yield a heading and a line for each outcome: what was published, what was there, then what failed."""
    groups = {"published": (True, False), "skipped, the same zip is there": (False, False)}
    for heading, group in groups.items():
        for outcome in outcomes:
            if (outcome.is_new, bool(outcome.failure)) == group:
                shared = ", shared with everyone" if outcome.is_newly_shared else ""
                yield heading, f"{outcome.region} {outcome.architecture}: {outcome.arn}{shared}"
    for outcome in outcomes:
        if outcome.failure:
            found = "published as" if outcome.is_new else "is there as"
            half = f"{found} {outcome.arn}, but not shared with everyone: " if outcome.arn else ""
            yield "failed", f"{outcome.region} {outcome.architecture}: {half}{outcome.failure}"
