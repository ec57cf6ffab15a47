"""
Which entries there are, and what each is called.

Rules
-----
1. Listed secrets are there for ever; of everything else at most so many, and the least recently used goes first.
2. A secret asked for by name answers to its ARN once it has been fetched, and the other way round.
3. Where two claim a name, the configuration's word comes before what was learned, and its first before its second.
   Which was fetched first never decides: of two ARNs with one name, as in two accounts, the first listed one has it.
4. A name that `allow` covers is AWS's to resolve, not ours: a foreign account's secret of that name never stands in.
5. What is below a listed path of parameters is part of that path's entry: the innermost path has it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from secrets_cache.core.freshness import Entry, FreshnessPolicy
from secrets_cache.core.secret import AwsContext, Ref, Secret
from secrets_cache.errors import SecretNotConfigured


class ListedEntry(NamedTuple):
    """A secret that is kept at hand: the names it is served as, first the one it is reported under."""

    ref: Ref
    names: tuple[str, ...]
    policy: FreshnessPolicy


class Registry:
    """
    The entries, by what they are asked by.

    Args:
        listed: The secrets to keep at hand.
        allow: Patterns of further names that may be asked for.
        policy: For what is not listed.
        max_unlisted: How many entries are kept besides the listed ones.
    """

    def __init__(
        self, listed: Iterable[ListedEntry], allow: Sequence[str], policy: FreshnessPolicy, max_unlisted: int
    ) -> None:
        self._allow = tuple(allow)
        self._policy = policy
        self._max_unlisted = max_unlisted
        self._unlisted: OrderedDict[Ref, Entry] = OrderedDict()
        self._names: dict[str, Ref] = {}
        # By other name: which entries have it, and the ARN that AWS gave for each.
        self._learned: dict[str, dict[Ref, str]] = {}
        self.listed: dict[Ref, Entry] = {}
        for item in listed:
            self.listed.setdefault(item.ref, Entry(item.ref, item.names[0], item.policy))
            for name in item.names:
                self._names.setdefault(name, item.ref)
        self._paths = sorted(
            (ref for ref in self.listed if ref.is_path), key=lambda ref: len(ref.secret_id), reverse=True
        )
        # By name: the listed secrets that may turn out to have it, in their order.
        self._bearers: dict[str, list[Ref]] = {}
        for ref in filter(self._is_meant_by_id, self.listed):
            for name in _names_within(ref.secret_id):
                self._bearers.setdefault(name, []).append(ref)

    def may_turn_out_as(self, name: str) -> Sequence[Ref]:
        """Return the listed secrets that may have `name` as their other name, which is known once they are fetched."""
        if name in self._names or name in self._learned or (not _is_arn(name) and self._allows(name)):
            return ()
        refs = {ref: None for other in _names_within(name) for ref in self._bearers.get(other, ())}
        return [ref for ref in refs if _is_arn(ref.secret_id) != _is_arn(name)]

    def find(self, name: str, version_id: str | None, version_stage: str | None) -> Entry:
        """
        Return the entry for what is asked, made if it may be.

        Raises:
            SecretNotConfigured: `name` is neither known nor allowed.
        """
        ref = self.known(name)
        if ref is None:
            if not self._allows(name):
                raise SecretNotConfigured(name)
            ref = Ref(name, is_parameter=is_parameter_arn(name))
        policy = self.listed[ref].policy if ref in self.listed else self._policy
        if version_id is not None or version_stage is not None:
            is_current = version_id is None and version_stage == "AWSCURRENT"
            ref = self._version_of(ref, name, version_id, None if is_current else version_stage)
        return self.listed.get(ref) or self._find_unlisted(ref, name, policy)

    def find_any(self, ref: Ref) -> Entry:
        """Return the entry for what `ref` means, made if need be: what is listed under its id counts as that."""
        meant = self.meant_by(ref)
        return self.listed.get(meant) or self._find_unlisted(meant, ref.secret_id, self._policy)

    def meant_by(self, ref: Ref) -> Ref:
        """Return what `ref` means: its id may be a name of something that is listed, or be below a listed path."""
        known = self.known(ref.secret_id)
        if known is None or known.is_parameter != ref.is_parameter or ref.access != AwsContext():
            return ref
        if not ref.is_decrypted and not self._is_plain(known, ref):
            return ref
        # A version that is listed under its id is not what its id alone means to AWS.
        return self._version_of(known, ref.secret_id, ref.version_id, ref.version_stage)

    def may_be_meant_by(self, ref: Ref) -> Sequence[Ref]:
        """Return the listed ones whose first fetch will tell whether `ref` means them."""
        if ref.access != AwsContext():
            return ()
        known = self.known(ref.secret_id)
        if known is None or ref.is_decrypted:
            return self.may_turn_out_as(ref.secret_id)
        return (known,) if known in self.listed and self.listed[known].held is None else ()

    def _is_plain(self, known: Ref, ref: Ref) -> bool:
        """Return whether `ref`, not decrypted, is what is held of `known`: it was never encrypted."""
        held = self.listed[known].held if known in self.listed else None
        if held is None or ref.version_id is not None or ref.version_stage is not None:
            return False
        member = member_name(known, ref.secret_id) if known.is_path else None
        secret = held.secret if member is None else (held.secret.members or {}).get(member)
        return secret is not None and secret.parameter is not None and not secret.parameter.is_encrypted

    def _version_of(self, ref: Ref, name: str, version_id: str | None, version_stage: str | None) -> Ref:
        """Return what a version of `ref` is, asked for by `name`; with neither, the current one."""
        is_version = version_id is not None or version_stage is not None
        member = member_name(ref, name) if ref.is_path and is_version else None
        # Of a path only what is below it has versions.
        return ref._replace(secret_id=member or ref.secret_id, version_id=version_id, version_stage=version_stage)

    def known(self, name: str) -> Ref | None:
        """Return what a name is listed or was learned as, or the listed path that it is below; None if neither."""
        return self._names.get(name) or self._find_learned(name) or self._find_path(name)

    def _find_path(self, name: str) -> Ref | None:
        if not self._paths or self._allows(name):
            return None
        return next((ref for ref in self._paths if member_name(ref, name) is not None), None)

    def _allows(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._allow)

    def _find_learned(self, name: str) -> Ref | None:
        having = self._learned.get(name, {})
        if _is_arn(name):
            return next(iter(having), None)
        if self._allows(name):
            return None
        first = self._first_listed(name)
        if first is not None:
            return first if first in having else None
        return next(iter(having)) if len(set(having.values())) == 1 else None

    def _first_listed(self, name: str) -> Ref | None:
        """Return the listed ARN that a name belongs to: the first that has it, or may have it, not yet fetched."""
        for ref in self._bearers.get(name, ()):
            if _is_arn(ref.secret_id) and (ref in self._learned.get(name, ()) or self.listed[ref].held is None):
                return ref
        return None

    def _is_meant_by_id(self, ref: Ref) -> bool:
        """Return whether its id alone means this entry: of several versions of a secret, one."""
        by_id = Ref(ref.secret_id, is_parameter=is_parameter_arn(ref.secret_id))
        return ref == self._names.get(ref.secret_id, by_id)

    def _find_unlisted(self, ref: Ref, name: str, policy: FreshnessPolicy) -> Entry:
        entry = self._unlisted.setdefault(ref, Entry(ref, name, policy))
        self._unlisted.move_to_end(ref)
        while len(self._unlisted) > self._max_unlisted:
            gone, _ = self._unlisted.popitem(last=False)
            for having in self._learned.values():
                having.pop(gone, None)
            self._learned = {alias: having for alias, having in self._learned.items() if having}
        return entry

    def learn(self, entry: Entry, secret: Secret) -> None:
        """Let an entry answer to the ARN and the name that AWS gave for it."""
        ref = entry.ref
        # What only somebody who may have any name has asked for is nothing that others may have by another name.
        is_kept = self.listed.get(ref) is entry or (self._unlisted.get(ref) is entry and self._allows(ref.secret_id))
        if is_kept and self._is_meant_by_id(ref):
            for alias in (secret.arn, secret.name):
                self._learned.setdefault(alias, {})[ref] = secret.arn

    def shares_name(self, entry: Entry, secret: Secret) -> bool:
        """Return whether a listed secret's own name means another one, so that only its ARN or alias means it."""
        if entry.ref not in self.listed or not self._is_meant_by_id(entry.ref) or not _is_arn(entry.ref.secret_id):
            return False
        owner = self._names.get(secret.name) or self._first_listed(secret.name)
        return owner not in {None, entry.ref}


def is_parameter_arn(name: str) -> bool:
    """Return whether a name is the ARN of a parameter."""
    return _is_arn(name) and name.split(":")[2:3] == ["ssm"]


def member_name(path: Ref, name: str) -> str | None:
    """Return the full name of the parameter below `path` that `name` means; None if it means none."""
    below = _absolute(path.secret_id.rpartition(":parameter")[2])
    full = _absolute(name.rpartition(":parameter")[2] if is_parameter_arn(name) else name)
    return full if full.startswith(below) and full != below else None


def _absolute(name: str) -> str:
    return name if name.startswith(("/", "arn:")) else f"/{name}"


def _is_arn(secret_id: str) -> bool:
    return secret_id.startswith("arn:")


def _names_within(secret_id: str) -> tuple[str, ...]:
    """Return the names a secret may have that is asked for so: an ARN ends in a hyphen and six characters, mostly."""
    tail = secret_id.rpartition(":")[2]
    if is_parameter_arn(secret_id):
        # The slash that a path begins with is the one behind "parameter"; a plain name's ARN looks the same.
        name = tail.removeprefix("parameter")
        return (name, name[1:])
    return (tail, tail[:-7]) if _is_arn(secret_id) and tail[-7:-6] == "-" else (tail,)
