"""What goes on around one execution environment: rotations, faults that come and go, freezes."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable

from tests.soak.history import History
from tests.soak.upstream import GOOD, KINDS, Episode, Kind, SoakUpstream
from tests.soak.world import LISTED, rotating


class Troubles:
    """
    The troubles.

    Args:
        pid: The process.
        upstream: What fails.
        history: Where versions are made.
        stream: Gives the stream of chance of an actor.
        tally: Where freezes are counted.
        deck: The kinds of fault, the one that comes first last.
        is_quiet: Whether there are no troubles at all.

    Attributes:
        episodes: How many there were, by kind.
    """

    def __init__(
        self,
        pid: int,
        upstream: SoakUpstream,
        history: History,
        stream: Callable[[str], random.Random],
        tally: Counter[str],
        deck: Iterable[Kind],
        *,
        is_quiet: bool,
    ) -> None:
        self.episodes: Counter[str] = Counter()
        self._pid = pid
        self._upstream = upstream
        self._history = history
        self._stream = stream
        self._tally = tally
        self._deck = list(deck)
        self._is_quiet = is_quiet

    async def work(self, until: float) -> None:
        """Make trouble until a moment on the monotonic clock; then all is calm."""
        try:
            if not self._is_quiet:
                await asyncio.gather(self._rotate(until), self._fail(until), self._freeze(until))
        finally:
            self._upstream.episode = None
            os.kill(self._pid, signal.SIGCONT)

    async def _rotate(self, until: float) -> None:
        chance, secrets = self._stream("rotate"), list(rotating())
        while time.monotonic() < until:
            secret, form = chance.choice(secrets)
            for _ in range(chance.choice((1, 1, 1, 1, 4))):
                self._history.rotate(secret, form)
                await asyncio.sleep(chance.uniform(0.01, 0.2))

    async def _fail(self, until: float) -> None:
        chance = self._stream("fail")
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(chance.uniform(0.3, 2), left))
            self._upstream.episode = self._episode(chance)
            seconds = chance.choice((chance.uniform(0.3, 4), chance.uniform(0.3, 4), chance.uniform(4, 9)))
            await asyncio.sleep(max(min(seconds, until - time.monotonic()), 0))
            self._upstream.episode = None

    def _episode(self, chance: random.Random) -> Episode:
        """Draw one: each kind once before any comes again, alone, or mixed with good answers or another kind."""
        self._deck = self._deck or chance.sample(KINDS, len(KINDS))
        kind = self._deck.pop()
        kinds = chance.choice(((kind,), (kind,), (kind, GOOD), (kind, chance.choice(KINDS))))
        some = chance.sample([listed.secret for listed in LISTED], 6) if chance.random() < 0.5 else []
        self.episodes.update({each.name for each in kinds if each is not GOOD})
        return Episode(kinds, frozenset(some))

    async def _freeze(self, until: float) -> None:
        chance = self._stream("freeze")
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(chance.uniform(1, 6), left))
            os.kill(self._pid, signal.SIGSTOP)
            self._tally["freezes"] += 1
            await asyncio.sleep(max(min(chance.uniform(0.1, 3), until - time.monotonic()), 0.1))
            os.kill(self._pid, signal.SIGCONT)
