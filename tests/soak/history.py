"""
What happened, on one wall clock: which version was current when, what AWS was asked and what it gave.

Rules
-----
1. Written by the upstream's thread and by who rotates, read by the oracle: one lock, and the time is read inside it.
2. Nothing is forgotten, so that a violation can be told with all that led to it.
"""

import bisect
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import count

from tests.soak.world import ON_DEMAND, PREVIOUS, Form, Ref, value_of

# The process has surely dealt with what came before so many turns of its loop: a fetch takes about ten, from the
# answer's bytes to the entry.
BEATS = 20
# Who does not answer a ping for so long was frozen, or kept from running.
GAP_SECONDS = 0.3


class Outcome(Enum):
    """What an answer of AWS's means to the cache."""

    GOOD = "good"
    PASSING = "passing"
    DEFINITE = "definite"


@dataclass(slots=True)
class Asked:
    """
    One secret, asked for in one call.

    Attributes:
        version: The id of the version that was given; empty for none.
        ended: When it had been answered, or who asked had gone.
        is_answered: Which of the two.
    """

    ref: Ref
    arrived: float
    kind: str
    outcome: Outcome
    version: str = ""
    ended: float = math.inf
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret, current from `since` on."""

    id: str
    secret: str
    form: Form
    number: int
    value: str | bytes
    since: float


class Beats:
    """
    A ping after the other on one connection: each answer is a turn of the process's loop, or several.

    Attributes:
        gaps: From when to when there was none for longer than `GAP_SECONDS`.
    """

    def __init__(self) -> None:
        self._sent: list[float] = []
        self._answered: list[float] = []
        self.gaps: list[tuple[float, float]] = []

    def add(self, sent: float, answered: float) -> None:
        """Note an answered ping."""
        if self._answered and answered - self._answered[-1] > GAP_SECONDS:
            self.gaps.append((self._answered[-1], answered))
        self._sent.append(sent)
        self._answered.append(answered)

    def settled(self, now: float) -> float:
        """Return up to when the process has surely dealt with everything that came, as of `now`."""
        number = bisect.bisect_right(self._answered, now) - BEATS
        return self._sent[number] if number >= 0 else -math.inf

    def gaps_until(self, now: float) -> list[tuple[float, float]]:
        """Return the gaps that had begun by `now`, the last first; one that goes on is as long as it is yet."""
        number = bisect.bisect_right(self.gaps, (now, math.inf))
        gaps = self.gaps[:number]
        last = self._answered[-1] if self._answered else math.inf
        return [*([(last, now)] if now - last > GAP_SECONDS else []), *reversed(gaps)]


class History:
    """
    What happened to one execution environment, and around it.

    Args:
        clock: Gives seconds since the epoch.

    Attributes:
        asked: What AWS was asked, by what for, in the order of arrival.
        blocked: Moments at which the upstream, or its connections, kept everybody waiting.
        beats: What the process has surely seen.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.lock = threading.Lock()
        self.asked: dict[Ref, list[Asked]] = defaultdict(list)
        self.blocked: list[float] = []
        self.beats = Beats()
        self._versions: dict[str, list[Version]] = {}
        self._by_id: dict[str, Version] = {}
        self._numbers = count(1)

    def rotate(self, secret: str, form: Form) -> Version:
        """Give a secret its next version."""
        with self.lock:
            return self._rotate(secret, form, self._clock())

    def _rotate(self, secret: str, form: Form, now: float) -> Version:
        versions = self._versions.setdefault(secret, [])
        version_id = f"{next(self._numbers):08d}-0000-4000-8000-000000000000"
        number = len(versions) + 1
        version = Version(version_id, secret, form, number, value_of(secret, form, number), now)
        versions.append(version)
        self._by_id[version_id] = version
        return version

    def find(self, ref: Ref, secret: str, now: float) -> Version | None:
        """Return what AWS has for `ref`, a version of `secret`; the lock is held. What is on demand comes to be."""
        versions = self._versions.get(secret)
        if versions is None:
            return self._rotate(secret, Form.TEXT, now) if secret.startswith(ON_DEMAND) else None
        _, version_id, stage = ref
        if version_id:
            version = self._by_id.get(version_id)
            return version if version is not None and version.secret == secret else None
        number = -2 if stage == PREVIOUS else -1
        return versions[number] if len(versions) >= -number else None

    def version(self, version_id: str) -> Version | None:
        """Return the version of this id."""
        return self._by_id.get(version_id)

    def versions(self, secret: str) -> list[Version]:
        """Return a secret's versions so far."""
        return self._versions.get(secret, [])

    def ceased(self, version: Version, ref: Ref) -> float:
        """Return when a version was no longer what `ref` means; infinite for not yet."""
        if ref[1]:
            return math.inf
        index = version.number + (1 if ref[2] == PREVIOUS else 0)
        versions = self._versions[version.secret]
        return versions[index].since if len(versions) > index else math.inf

    def given(self, ref: Ref, version_id: str, since: float, until: float) -> Asked | None:
        """Return the last call that brought this version and arrived after `since`, and no later than `until`."""
        for asked in reversed(self.calls(ref)):
            if asked.arrived <= since:
                return None
            if asked.arrived <= until and asked.version == version_id:
                return asked
        return None

    def calls(self, ref: Ref) -> list[Asked]:
        """Return the calls for `ref`, in the order of arrival."""
        return self.asked.get(ref, [])

    def was_blocked(self, since: float, until: float) -> bool:
        """Return whether there was a moment after `since`, and up to `until`, that kept everybody waiting."""
        return bisect.bisect_right(self.blocked, since) < bisect.bisect_right(self.blocked, until)

    def rotations(self) -> int:
        """Return how many versions were made."""
        return len(self._by_id)
