"""
Which entries there are, and which names mean them.

Examples, for a configuration that lists `{id: prod/db, name: db}`, the ARN `arn:...:secret:api-AbCdEf` and `/app/`:

    db, prod/db               names of the first entry: given by the configuration
    arn:...:prod/db-XyZabc    the same entry, learned: AWS gave this ARN with its first value
    api                       a candidate for the second entry, until its first fetch has given its name
    /app/log, app/log         members of the path /app/: its entry's value holds them
    other                     an unlisted entry if `allow` covers it, else SecretNotConfigured

Rules
-----
1. Listed entries stay. All others together are bounded, and the least recently used goes first. Those that never had
   a value get no more than a fifth where there are enough values: names that AWS does not know displace few of them.
2. A secret listed by name answers to its ARN once it has been fetched, and one listed by ARN to its name; until AWS
   gives another ARN or name for it. Nothing answers to an empty name.
3. Where two claim a name, the configuration comes before what was learned, and its first entry before its second.
   The order of fetches never decides: of two ARNs with one name, as in two accounts, the first listed one has it.
4. A name that `allow` covers is left to AWS to resolve: another account's secret of that name never replaces it.
5. The parameters below a listed path are members of the path's entry; of nested paths, the innermost counts. What
   `allow` covers as well means the member if there is one.

Longer than most modules here: the rules about names refer to one another.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from secrets_cache.core.arn import Arn, expand_parameter_name, list_possible_names, split_selector
from secrets_cache.core.clock import Instant
from secrets_cache.core.entry import Entry
from secrets_cache.core.freshness import FreshnessPolicy
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.secret import AwsContext, Ref, Secret
from secrets_cache.errors import SecretNotConfigured

VALUELESS_SHARE = 0.2


class ListedEntry(NamedTuple):
    """
    What the configuration lists: one secret, parameter or path.

    Attributes:
        ref: What AWS is asked for.
        names: The names it is served as; the first is its name in logs and reports.
        policy: How long a value may be used.
    """

    ref: Ref
    names: tuple[str, ...]
    policy: FreshnessPolicy


class Registry:
    """
    The entries, found by the names callers use.

    Args:
        listed: What the configuration lists.
        allow: Patterns of further names that callers may use.
        policy: How long values of unlisted entries may be used.
        max_unlisted: How many other entries are kept.

    Attributes:
        listed: The listed entries, in the order of the configuration.
    """

    def __init__(
        self, listed: Iterable[ListedEntry], allow: Sequence[str], policy: FreshnessPolicy, max_unlisted: int
    ) -> None:
        self._allow = tuple(allow)
        self._policy = policy
        self._max_unlisted = max_unlisted
        self._unlisted: OrderedDict[Ref, Entry] = OrderedDict()
        # Those that never had a value: new, or failed so far.
        self._valueless: OrderedDict[Ref, Entry] = OrderedDict()
        self._names: dict[str, Ref] = {}
        # By learned name: the entries that have it, each with the ARN that AWS gave for it.
        self._learned: dict[str, dict[Ref, str]] = {}
        # By entry: the names that were learned for it.
        self._aliases: dict[Ref, tuple[str, ...]] = {}
        self.listed: dict[Ref, Entry] = {}
        for item in listed:
            self.listed.setdefault(item.ref, Entry(item.ref, item.names[0], item.policy))
            for name in filter(None, item.names):
                self._names.setdefault(name, item.ref)
        self._paths = sorted(
            (ref for ref in self.listed if ref.is_path), key=lambda ref: len(ref.secret_id), reverse=True
        )
        # By name: the listed entries that may turn out to have it, in their order.
        self._bearers: dict[str, list[Ref]] = {}
        for ref in filter(self._is_meant_by_id, self.listed):
            for name in list_possible_names(ref.secret_id):
                self._bearers.setdefault(name, []).append(ref)

    def take_over(self, before: "Registry", under_way: Iterable[Entry], random: Callable[[], float]) -> None:
        """
        Keep the entries of an earlier configuration, with the names and policies of this one.

        What was listed and is listed no longer is dropped, in all its versions. A fetch of it that is under way only
        brings it back among the unlisted.
        """
        known = {entry.ref: entry for entry in (*under_way, *before.list_all())}
        gone = {ref.secret_id for ref in before.listed if ref not in self.listed}
        for ref, new in self.listed.items():
            if (kept := known.get(ref)) is not None:
                kept.change(new.name, new.policy, random)
                self.listed[ref] = kept
        unlisted = [one for ref, one in before.list_unlisted() if ref not in self.listed and ref.secret_id not in gone]
        for entry in unlisted:
            owner = self._names.get(entry.ref.secret_id)
            entry.change(entry.name, self._policy if owner is None else self.listed[owner].policy, random)
        for entry in (*self.listed.values(), *unlisted):
            if entry.held is not None:
                self.learn(entry, entry.held.secret)

    def list_unlisted(self) -> Iterable[tuple[Ref, Entry]]:
        """Return the other entries that have a value, the least recently used first."""
        return self._unlisted.items()

    # Names that callers of listed and allowed secrets use.

    def list_candidates(self, name: str) -> Sequence[Ref]:
        """Return the listed entries that may also have or hold `name`. That is known after their first fetch."""
        if name in self._names or name in self._learned:
            return ()
        if not _is_arn(name) and self._allows(name):
            return [ref for ref in self._paths if find_member_name(ref, name) and self.listed[ref].held is None]
        refs = {ref: None for other in list_possible_names(name) for ref in self._bearers.get(other, ())}
        return [ref for ref in refs if _is_arn(ref.secret_id) != _is_arn(name)]

    def find_by_name(self, name: str, version_id: str | None, version_stage: str | None) -> Entry:
        """
        Return the entry that `name` and a version mean; make one if `allow` covers the name.

        Raises:
            SecretNotConfigured: `name` is neither known nor allowed.
        """
        ref = self.resolve_name(name)
        if ref is None:
            if not self._allows(name):
                raise SecretNotConfigured(name)
            ref = _make_ref(name)
        policy = self.listed[ref].policy if ref in self.listed else self._policy
        if version_id is not None or version_stage is not None:
            is_current = version_id is None and version_stage == "AWSCURRENT"
            ref = self._select_version(ref, name, version_id, None if is_current else version_stage)
        return self.listed.get(ref) or self._get_or_create_unlisted(ref, name, policy)

    def find_known_name(self, name: str) -> str | None:
        """Return the name in the configuration of what `name` means, or `name` if `allow` covers it; else None."""
        ref = self.resolve_name(name)
        if ref is not None:
            return self.listed[ref].name if ref in self.listed else ref.secret_id
        return name if self._allows(name) else None

    def resolve_name(self, name: str) -> Ref | None:
        """Return what `name` is listed or was learned as, or the listed path that it is below, if any."""
        return self._names.get(name) or self._find_learned(name) or self._find_path(name)

    # Lookups by Ref, for callers that are not limited to the configuration.

    def find_by_ref(self, ref: Ref) -> Entry:
        """Return the entry that `ref` means; make one if there is none."""
        meant = self.resolve_ref(ref)
        return self.listed.get(meant) or self._get_or_create_unlisted(meant, ref.secret_id, self._policy)

    def resolve_ref(self, ref: Ref) -> Ref:
        """Return what `ref` means: its id may be a name of a listed entry, or be below a listed path."""
        known = self.resolve_name(ref.secret_id)
        if known is None or known.is_parameter != ref.is_parameter or ref.context != AwsContext():
            return ref
        if not ref.is_decrypted and not self._is_unencrypted(known, ref):
            return ref
        # An id alone means its current version to AWS, also where another version is listed under that id.
        return self._select_version(known, ref.secret_id, ref.version_id, ref.version_stage)

    def list_candidates_of_ref(self, ref: Ref) -> Sequence[Ref]:
        """Return the listed entries that `ref` may mean. That is known after their first fetch."""
        if ref.context != AwsContext():
            return ()
        known = self.resolve_name(ref.secret_id)
        if known is None or ref.is_decrypted:
            return self.list_candidates(ref.secret_id)
        return (known,) if known in self.listed and self.listed[known].held is None else ()

    def _is_unencrypted(self, known: Ref, ref: Ref) -> bool:
        """Return whether the value of `known` was never encrypted, so that it also answers an undecrypted `ref`."""
        held = self.listed[known].held if known in self.listed else None
        if held is None or ref.version_id is not None or ref.version_stage is not None:
            return False
        member = find_member_name(known, ref.secret_id) if known.is_path else None
        secret = held.secret if member is None else (held.secret.members or {}).get(member)
        return secret is not None and secret.parameter is not None and not secret.parameter.is_encrypted

    def _select_version(self, ref: Ref, name: str, version_id: str | None, version_stage: str | None) -> Ref:
        """Return the version of `ref` that a caller asks for by `name`; with neither id nor stage, the current one."""
        is_version = version_id is not None or version_stage is not None
        # A path has no versions, but its members have.
        member = find_member_name(ref, name) if ref.is_path and is_version else None
        return ref._replace(secret_id=member or ref.secret_id, version_id=version_id, version_stage=version_stage)

    def _find_path(self, name: str) -> Ref | None:
        ref = next((ref for ref in self._paths if find_member_name(ref, name) is not None), None)
        if ref is None or not self._allows(name):
            return ref
        held = self.listed[ref].held
        return ref if held is not None and find_member_name(ref, name) in (held.secret.members or {}) else None

    def _allows(self, name: str) -> bool:
        if not self._allow:
            return False
        from fnmatch import fnmatchcase  # noqa: PLC0415 - only `allow` needs it

        return name != "" and any(fnmatchcase(name, pattern) for pattern in self._allow)

    def find_learned(self, name: str) -> Ref | None:
        """Return the entry that `name` means only because AWS gave it this ARN or name; None for any other name."""
        return None if name in self._names else self._find_learned(name)

    def _find_learned(self, name: str) -> Ref | None:
        having = self._learned.get(name, {})
        if _is_arn(name):
            return next(iter(having), None)
        if self._allows(name):
            return None
        first = self._find_first_listed(name)
        if first is not None:
            return first if first in having else None
        return next(iter(having)) if len(set(having.values())) == 1 else None

    def _find_first_listed(self, name: str) -> Ref | None:
        """Return the first listed ARN that has this name, or may have it because it was not yet fetched."""
        for ref in self._bearers.get(name, ()):
            if _is_arn(ref.secret_id) and (ref in self._learned.get(name, ()) or self.listed[ref].held is None):
                return ref
        return None

    def _is_meant_by_id(self, ref: Ref) -> bool:
        """Return whether the id alone means this entry: of several listed versions, only one."""
        return ref == self._names.get(ref.secret_id, _make_ref(ref.secret_id))

    def _get_or_create_unlisted(self, ref: Ref, name: str, policy: FreshnessPolicy) -> Entry:
        pool = self._unlisted if ref in self._unlisted else self._valueless
        entry = pool.setdefault(ref, Entry(ref, name, policy))
        pool.move_to_end(ref)
        self._drop_least_used()
        return entry

    def _drop_least_used(self) -> None:
        # A fetch under way harms none of this: it keeps its entry, and brings it back with the value.
        while len(self._unlisted) + len(self._valueless) > self._max_unlisted:
            is_valueless = len(self._valueless) > self._max_unlisted * VALUELESS_SHARE
            gone, _ = (self._valueless if is_valueless else self._unlisted).popitem(last=False)
            for alias in self._aliases.pop(gone, ()):
                self.forget(gone, alias)

    def list_all(self) -> Iterable[Entry]:
        """Return all entries, the listed ones first."""
        return chain(self.listed.values(), self._unlisted.values(), self._valueless.values())

    def list_due_with(self, entry: Entry, now: Instant) -> list[Entry]:
        """
        Return the other listed parameters to fetch together with `entry`; none for a secret.

        Parameter Store has a small quota, and gives ten in one call.
        """
        ref = entry.ref
        if not ref.is_parameter or ref.is_path or ref not in self.listed:
            return []
        return [
            other
            for other in self.listed.values()
            if other is not entry
            and other.ref.is_parameter
            and not other.ref.is_path
            and other.ref.context == ref.context
            and other.is_refresh_near(now)
        ]

    # Names that AWS gives.

    def learn(self, entry: Entry, secret: Secret) -> None:
        """Let an entry answer to the ARN and the name that AWS gave for it now, and to none that AWS gave before."""
        ref = entry.ref
        if ref not in self.listed:
            self._valueless.pop(ref, None)
            self._unlisted[ref] = entry
            self._unlisted.move_to_end(ref)
            self._drop_least_used()
        # Entries created through the unrestricted listener must not gain aliases on the restricted one.
        is_kept = self.listed.get(ref) is entry or (self._unlisted.get(ref) is entry and self._allows(ref.secret_id))
        if is_kept and self._is_meant_by_id(ref):
            aliases = tuple(filter(None, (secret.arn, secret.name)))
            for alias in self._aliases.get(ref, ()):
                if alias not in aliases:
                    self.forget(ref, alias)
            for alias in aliases:
                self._learned.setdefault(alias, {})[ref] = secret.arn
            self._aliases[ref] = aliases

    def forget(self, ref: Ref, alias: str) -> None:
        """Let an entry no longer answer to a name that was learned for it."""
        having = self._learned.get(alias, {})
        having.pop(ref, None)
        if not having:
            self._learned.pop(alias, None)

    def list_sharing(self, entry: Entry, secret: Secret) -> list[tuple[str, str]]:
        """
        Return the listed secrets, each with the name that AWS gives it, whose own name means another one.

        Only their ARN or alias reaches them. Returned once both are fetched, for the later: `secret` is the first value
        of `entry`. A secret that is listed twice, by its ARN and by its name, is no other one.
        """
        found = {}
        for name in dict.fromkeys((entry.name, entry.ref.secret_id, secret.name)):
            owner = self._names.get(name) or self._find_first_listed(name)
            for ref in self._learned.get(name, ()):
                if ref in self.listed and _is_arn(ref.secret_id) and owner in self.listed and entry.ref in {ref, owner}:
                    arns = {self._find_arn(ref), self._find_arn(owner)} - {None}
                    if len(arns) > 1:
                        found[self.listed[ref].name] = name
        return list(found.items())

    def _find_arn(self, ref: Ref) -> str | None:
        held = self.listed[ref].held
        return None if held is None else held.secret.arn


def find_member_name(path: Ref, name: str) -> str | None:
    """Return the full name of the parameter below `path` that `name` means; None if it means none."""
    below, full = expand_parameter_name(path.secret_id), expand_parameter_name(name)
    return full if full.startswith(below) and full != below else None


def _is_arn(secret_id: str) -> bool:
    return Arn.parse(secret_id) is not None


def _make_ref(secret_id: str) -> Ref:
    """Return what an id alone means: a secret, unless it is the ARN of a parameter."""
    arn = Arn.parse(secret_id)
    if arn is None or not arn.is_parameter:
        return Ref(secret_id)
    plain, version, label = split_selector(secret_id)
    return Ref(plain, version, label, is_parameter=True)
