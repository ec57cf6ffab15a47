"""The soak from its beginning to its report."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.soak.environment import Environment
from tests.soak.report import Report
from tests.soak.world import POLICIES

# A stretch of everything at once, and then a rest: some of them, so that growth shows as a trend.
STRETCHES = 5
LONGEST_STRETCH_SECONDS = 20.0
# What a rest takes, until the last answers are there and the process has been looked at.
REST_SECONDS = 3.0


async def soak(
    seconds: float,
    seed: int,
    folder: Path,
    *,
    command: Sequence[str] = (),
    say: Callable[[str], object] = lambda _: None,
) -> Report:
    """
    Run one execution environment of each policy for so many seconds; return what was seen.

    Args:
        seconds: How long all of it takes, more or less, warm-up and rests included.
        seed: Of everything that is left to chance.
        folder: An empty one.
        command: What runs in place of the source tree, such as a built layer's launcher.
        say: Told how it goes.
    """
    stretches = max(STRETCHES, round(seconds / LONGEST_STRETCH_SECONDS))
    environments = []
    with ExitStack() as stack:
        for policy in POLICIES:
            own = folder / policy.name
            own.mkdir()
            environments.append(stack.enter_context(Environment(policy, seed, own, command)))
        for number in range(stretches):
            await asyncio.gather(
                *(each.stretch(seconds / stretches - REST_SECONDS, is_warm_up=number == 0) for each in environments)
            )
            say(f"{number + 1} of {stretches} stretches")
            for text in (text for each in environments for text in each.new_violations()):
                say(text)
        await asyncio.gather(*(each.end() for each in environments))
    return Report(seed, seconds, environments)
