"""
Which variables to set, and from which values. Three kinds of source; a later one wins.

    SECRET_ARN, SECRET_REGION, ASSUME_ROLE_ARN; `env:` in config.yaml; references in the function's own variables
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from secrets_cache.config import ListedSecret, VariablesFrom, values
from secrets_cache.config.values import InvalidValue
from secrets_cache.core.arn import SecretReference, find_region, split_selector
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.registry import find_member_name
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.core.text import shorten
from secrets_cache.errors import VariablesFailed

SECRETS_MANAGER = "secretsmanager://"
PARAMETER_STORE = "ssm://"
API_TIMEOUT_MILLISECONDS = 5000.0
# In which the scheme of a mistyped reference ends.
SCHEME_LENGTH = 24
# As for `fetch_timeout`; Lambda's own limit for an init is far below.
MAX_SECONDS = 60.0


class Wanted(NamedTuple):
    """
    A value to read from AWS; equal ones are read once.

    Attributes:
        id: Name or ARN.
        is_parameter: Whether it is a parameter of Parameter Store; else a secret of Secrets Manager.
        region: Its region; empty for the function's own region.
        role_arn: The role to assume for it; empty for the function's own role.
        budget_seconds: The longest time for role and value together; None for `fetch_timeout`.
        version_id: The id of the version to read; None for the one that `version_stage` names.
        version_stage: The staging label of the version to read; None for the configured one, or the current one.
    """

    id: str
    is_parameter: bool = False
    region: str = ""
    role_arn: str = ""
    budget_seconds: float | None = None
    version_id: str | None = None
    version_stage: str | None = None

    @property
    def selects_version(self) -> bool:
        """Whether it says itself which version it means."""
        return self.version_id is not None or self.version_stage is not None


class Rule(NamedTuple):
    """
    Which variables to set from one value.

    Attributes:
        wanted: The value.
        env_item: How its keys become variables.
        key: The key or JSON pointer whose value becomes one variable; empty for the whole value, and for several keys.
        origin: The setting or variable that the rule comes from, for messages.
    """

    wanted: Wanted
    env_item: VariablesFrom
    key: str
    origin: str

    @property
    def is_reference(self) -> bool:
        """Whether it comes from a variable that holds a reference, which the value replaces."""
        return self.origin == self.env_item.as_name


def make_rules(env: Iterable[VariablesFrom], environ: Mapping[str, str]) -> list[Rule]:
    """
    Return the rules of the configuration's `env:` and of the environment; a later one wins.

    Raises:
        VariablesFailed: A variable has an invalid value.
    """
    own = environ.get("AWS_REGION", "")
    rules = [
        *_read_secret_arn(environ),
        *(_make_env_rule(item) for item in env),
        *(rule for name, value in environ.items() for rule in _read_reference(name, value)),
    ]
    return [rule._replace(wanted=_set_region(rule.wanted, own)) for rule in rules]


Names = Mapping[tuple[bool, str], Ref]


def index_names(listed: Iterable[ListedSecret]) -> Names:
    """Return the refs of the listed items, by whether it is a parameter and by name."""
    return {(item.ref.is_parameter, item.name): item.ref for item in listed}


def find_ref(wanted: Wanted, names: Names) -> Ref:
    """Return the ref to fetch: that of a listed item with this name, else one that is made of `wanted` alone."""
    ref = find_listed(wanted, names) or _make_ref(wanted)
    return (
        ref._replace(version_id=wanted.version_id, version_stage=_name_stage(wanted)) if wanted.selects_version else ref
    )


def _name_stage(wanted: Wanted) -> str | None:
    # To AWS, no stage is the current one.
    is_current = wanted.version_id is None and wanted.version_stage == "AWSCURRENT"
    return None if is_current else wanted.version_stage


def find_listed(wanted: Wanted, names: Names) -> Ref | None:
    """Return the ref of the listed item with this name, or of a parameter below a listed path; None for neither."""
    # A region that is not the ARN's own was given with the id: such an id is nobody's name.
    if wanted.role_arn or wanted.region not in {"", find_region(wanted.id)}:
        return None
    named, direct = names.get((wanted.is_parameter, wanted.id)), _make_ref(wanted)
    if wanted.region:
        return named
    is_version = direct.version_id is not None or direct.version_stage is not None
    # The same version may be listed in the long form, under another name.
    if named is not None or (is_version and direct in names.values()):
        return named or direct
    for path in (ref for ref in names.values() if ref.is_path and wanted.is_parameter):
        full = find_member_name(path, direct.secret_id)
        if full is not None:
            return direct._replace(secret_id=full, context=path.context)
    return None


def _make_ref(wanted: Wanted) -> Ref:
    context = AwsContext(wanted.region, wanted.role_arn)
    if not wanted.is_parameter:
        return Ref(wanted.id, context=context)
    plain, version, label = split_selector(wanted.id)
    return Ref(plain, version, label, context, is_parameter=True)


def _read_secret_arn(environ: Mapping[str, str]) -> Iterable[Rule]:
    # An empty variable counts as not set.
    ids = [part.strip() for part in environ.get("SECRET_ARN", "").split(",")]
    region, role = environ.get("SECRET_REGION", "").strip(), environ.get("ASSUME_ROLE_ARN", "").strip()
    for name, text, value_type in (("SECRET_REGION", region, values.REGION), ("ASSUME_ROLE_ARN", role, values.ROLE)):
        if text and any(ids):
            _check(name, text, value_type)
    for secret_id in filter(None, ids):
        _check("SECRET_ARN", secret_id, values.SECRET_REFERENCE)
        wanted, key = _parse_reference(secret_id)
        wanted = wanted._replace(region=region, role_arn=role, budget_seconds=_read_budget(environ))
        yield Rule(wanted, VariablesFrom(wanted.id, include=(_escape(key),) if key else ()), "", "SECRET_ARN")


def _make_env_rule(item: VariablesFrom) -> Rule:
    origin = f"env: {item.id}"
    if item.is_parameter:
        return Rule(Wanted(item.id, is_parameter=True), item, item.key, origin)
    wanted, key = _parse_reference(item.id)
    if key and not item.as_name:
        item, key = item._replace(include=(_escape(key),)), ""
    return Rule(wanted, item._replace(id=wanted.id), item.key or key, origin)


def _escape(key: str) -> str:
    """Return the pattern that matches this key alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in key)


def has_star(pattern: str) -> bool:
    """Return whether a pattern may match nothing: it holds a `*` that is no character of the key itself."""
    return "*" in pattern.replace("[*]", "")


def matches(key: str, patterns: Iterable[str]) -> bool:
    """Return whether a key is one of these, or matches one of them, as a name does under `allow`."""
    return any(key == pattern or fnmatchcase(key, pattern) for pattern in patterns)


def _parse_reference(text: str) -> tuple[Wanted, str]:
    """Return the secret that a name, an ARN, or an ARN in ECS's form means, and the key in it; empty for none."""
    reference = SecretReference.parse(text)
    wanted = Wanted(
        reference.secret_id, version_id=reference.version_id or None, version_stage=reference.version_stage or None
    )
    return wanted, reference.key


def _read_budget(environ: Mapping[str, str]) -> float:
    text = environ.get("API_TIMEOUT", "").strip()
    if not text:
        return API_TIMEOUT_MILLISECONDS / 1000
    limit = read_limit(environ)
    if limit is None:
        raise VariablesFailed(f"API_TIMEOUT: found {shorten(text)!r}; allowed: a number of milliseconds, more than 0")
    return limit


def read_limit(environ: Mapping[str, str]) -> float | None:
    """Return the seconds that API_TIMEOUT allows for everything; None if it is not set, or invalid."""
    try:
        milliseconds = float(environ.get("API_TIMEOUT", ""))
    except ValueError:
        return None
    return min(milliseconds / 1000, MAX_SECONDS) if milliseconds > 0 else None


def _read_reference(name: str, value: str) -> Iterable[Rule]:
    if value.startswith(PARAMETER_STORE):
        wanted_id, _, key = value.removeprefix(PARAMETER_STORE).partition("#")
        _check(name, wanted_id, values.PARAMETER_ID)
        yield Rule(Wanted(wanted_id, is_parameter=True), VariablesFrom(wanted_id, as_name=name), key, name)
    elif value.startswith(SECRETS_MANAGER):
        text, _, key = value.removeprefix(SECRETS_MANAGER).partition("#")
        _check(name, text, values.SECRET_REFERENCE)
        wanted, key_behind_arn = _parse_reference(text)
        if key and key_behind_arn:
            raise VariablesFailed(
                f"{name}: found two keys, {key_behind_arn!r} and {key!r}; allowed: one, behind the ARN or #"
            )
        yield Rule(wanted, VariablesFrom(wanted.id, as_name=name), key or key_behind_arn, name)


def resembles_reference(value: str) -> bool:
    """Return whether a value may be a mistyped reference. Cheap: the answer may be a wrong yes, rarely a wrong no."""
    scheme, colon, _ = value[:SCHEME_LENGTH].partition(":")
    if not colon or value.startswith((SECRETS_MANAGER, PARAMETER_STORE)):
        return False
    scheme = scheme.lower()
    return "sec" in scheme or "man" in scheme or scheme.strip(" \t\r\n\"'") == "ssm"


def log_suspects(environ: Mapping[str, str]) -> None:
    """Log a warning for each variable that is almost a reference. Where none is, next to nothing is done."""
    if any(map(resembles_reference, environ.values())):
        from secrets_cache.variables import suspects  # noqa: PLC0415 - rarely needed

        suspects.log_suspects(environ)


def _check(name: str, text: str, value_type: values.ValueType[str]) -> None:
    try:
        value_type.parse(text)
    except InvalidValue:
        raise VariablesFailed(f"{name}: found {shorten(text)!r}; allowed: {value_type.allowed}") from None


def _set_region(wanted: Wanted, own: str) -> Wanted:
    """Return `wanted` with its region: as given, else that of its ARN; empty if it is the function's own."""
    return wanted._replace(region=find_region(wanted.id, given=wanted.region, own=own))
