"""
Which entries there are, and what each is called.

Rules
-----
1. Listed secrets are there for ever; of everything else at most so many, and the least recently used goes first.
2. A secret asked for by name answers to its ARN once it has been fetched, and the other way round.
3. Where two claim a name, the configuration's word comes before what was learned, and its first before its second;
   of two that AWS gives one name, as in two accounts, the one that was fetched first has it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from secrets_cache.errors import SecretNotConfigured
from secrets_cache.freshness import Entry, Policy
from secrets_cache.secret import Ref, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A secret that is kept at hand: the names it is served as, first the one it is reported under."""

    ref: Ref
    names: tuple[str, ...]
    policy: Policy


class Entries:
    """
    The entries, by what they are asked by.

    Args:
        listed: The secrets to keep at hand.
        allow: Patterns of further names that may be asked for.
        policy: For what is not listed.
        max_unlisted: How many entries are kept besides the listed ones.
    """

    def __init__(self, listed: Iterable[Listed], allow: Sequence[str], policy: Policy, max_unlisted: int) -> None:
        self._allow = tuple(allow)
        self._policy = policy
        self._max_unlisted = max_unlisted
        self._unlisted: OrderedDict[Ref, Entry] = OrderedDict()
        self._names: dict[str, Ref] = {}
        self._learned: dict[str, Ref] = {}
        self.listed: dict[Ref, Entry] = {}
        for item in listed:
            self.listed.setdefault(item.ref, Entry(item.ref, item.names[0], item.policy))
            for name in item.names:
                self._names.setdefault(name, item.ref)

    def knows(self, name: str) -> bool:
        """Return whether `name` is listed or has been learned."""
        return name in self._names or name in self._learned

    def find(self, name: str, version_id: str | None, version_stage: str | None) -> Entry:
        """
        Return the entry for what is asked, made if it may be.

        Raises:
            SecretNotConfigured: `name` is neither known nor allowed.
        """
        ref = self._names.get(name) or self._learned.get(name)
        if ref is None:
            if not any(fnmatchcase(name, pattern) for pattern in self._allow):
                raise SecretNotConfigured(name)
            ref = Ref(name)
        policy = self.listed[ref].policy if ref in self.listed else self._policy
        if version_id is not None or version_stage is not None:
            stage = None if version_stage == "AWSCURRENT" else version_stage
            ref = replace(ref, version_id=version_id, version_stage=stage)
        return self.listed.get(ref) or self._find_unlisted(ref, name, policy)

    def _find_unlisted(self, ref: Ref, name: str, policy: Policy) -> Entry:
        entry = self._unlisted.setdefault(ref, Entry(ref, name, policy))
        self._unlisted.move_to_end(ref)
        while len(self._unlisted) > self._max_unlisted:
            gone, _ = self._unlisted.popitem(last=False)
            self._learned = {alias: other for alias, other in self._learned.items() if other != gone}
        return entry

    def learn(self, entry: Entry, secret: Secret) -> None:
        """Let an entry answer to the ARN and the name that AWS gave for it."""
        ref = entry.ref
        is_kept = self.listed.get(ref) is entry or self._unlisted.get(ref) is entry
        # Of several entries for one secret, the one that its id stands for gets the other name as well.
        if is_kept and ref == self._names.get(ref.secret_id, Ref(ref.secret_id)):
            self._learned.setdefault(secret.arn, ref)
            self._learned.setdefault(secret.name, ref)
