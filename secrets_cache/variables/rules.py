"""
Which variables are wanted, and from where: three kinds of source, the later ones win.

    SECRET_ARN and its companions; `env:` in config.yaml; references in the function's own variables
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from secrets_cache.config import ListedSecret, VariablesFrom, values
from secrets_cache.config.values import Unacceptable
from secrets_cache.core.registry import member_name
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.errors import VariablesFailed

SECRETS_MANAGER = "secretsmanager://"
PARAMETER_STORE = "ssm://"
API_TIMEOUT_MILLISECONDS = 5000.0
# As for `fetch_timeout`; Lambda's own limit for an init is far below.
MAX_SECONDS = 60.0


class Wanted(NamedTuple):
    """
    A value that is wanted from AWS. Also what it is shared by.

    Attributes:
        id: Name or ARN.
        is_parameter: Whether it is Parameter Store's; else, Secrets Manager's.
        region: Where it is; empty for our own region.
        role_arn: Who may read it; empty for the function's own role.
        budget_seconds: For the role and the value together; None for `fetch_timeout`.
    """

    id: str
    is_parameter: bool = False
    region: str = ""
    role_arn: str = ""
    budget_seconds: float | None = None


class Rule(NamedTuple):
    """
    What is to become of one value.

    Attributes:
        wanted: The value.
        spread: How its keys become variables.
        key: For a reference: the key, or the JSON pointer, of the one thing that is wanted; empty for all of it.
        origin: Who wants it, for messages.
    """

    wanted: Wanted
    spread: VariablesFrom
    key: str
    origin: str


def rules_of(env: Iterable[VariablesFrom], environ: Mapping[str, str]) -> list[Rule]:
    """
    Return the rules that the configuration's `env:` and the environment make, the later ones winning.

    Raises:
        VariablesFailed: One of them cannot be meant.
    """
    own = environ.get("AWS_REGION", "")
    rules = [
        *_of_secret_arn(environ),
        *(Rule(Wanted(item.id, item.is_parameter), item, "", f"env: {item.id}") for item in env),
        *(rule for name, value in environ.items() for rule in _of_reference(name, value)),
    ]
    return [rule._replace(wanted=_in_its_region(rule.wanted, own)) for rule in rules]


Names = Mapping[tuple[bool, str], Ref]


def names_of(listed: Iterable[ListedSecret]) -> Names:
    """Return what the names of a configuration's own stand for: by whether it is a parameter's, and the name."""
    return {(item.ref.is_parameter, item.name): item.ref for item in listed}


def ref_of(wanted: Wanted, names: Names) -> Ref:
    """Return what AWS is asked for: what a name of the configuration's own stands for, else what it says itself."""
    itself = Ref(wanted.id, access=AwsContext(wanted.region, wanted.role_arn), is_parameter=wanted.is_parameter)
    return known(wanted, names) or itself


def known(wanted: Wanted, names: Names) -> Ref | None:
    """Return what a name of the configuration's own stands for, or what is below a path of it; None for neither."""
    if wanted.region or wanted.role_arn:
        return None
    for path in (ref for ref in names.values() if ref.is_path and wanted.is_parameter):
        full = member_name(path, wanted.id)
        if full is not None and (True, wanted.id) not in names:
            return path._replace(secret_id=full)
    return names.get((wanted.is_parameter, wanted.id))


def _of_secret_arn(environ: Mapping[str, str]) -> Iterable[Rule]:
    # An empty variable counts as not set.
    ids = [part.strip() for part in environ.get("SECRET_ARN", "").split(",")]
    region, role = environ.get("SECRET_REGION", "").strip(), environ.get("ASSUME_ROLE_ARN", "").strip()
    for name, text, kind in (("SECRET_REGION", region, values.REGION), ("ASSUME_ROLE_ARN", role, values.ROLE)):
        if text and any(ids):
            _checked(name, text, kind)
    for secret_id in filter(None, ids):
        _checked("SECRET_ARN", secret_id, values.SECRET_ID)
        wanted = Wanted(secret_id, region=region, role_arn=role, budget_seconds=_budget(environ))
        yield Rule(wanted, VariablesFrom(secret_id), "", "SECRET_ARN")


def _budget(environ: Mapping[str, str]) -> float:
    text = environ.get("API_TIMEOUT", "").strip()
    try:
        milliseconds = float(text) if text else API_TIMEOUT_MILLISECONDS
    except ValueError:
        milliseconds = 0
    if not milliseconds > 0:
        raise VariablesFailed(f"API_TIMEOUT is {text[:40]!r}; allowed: milliseconds, more than 0")
    return min(milliseconds / 1000, MAX_SECONDS)


def _of_reference(name: str, value: str) -> Iterable[Rule]:
    for scheme, kind in ((SECRETS_MANAGER, values.SECRET_ID), (PARAMETER_STORE, values.PARAMETER_ID)):
        if value.startswith(scheme):
            wanted_id, _, key = value.removeprefix(scheme).partition("#")
            _checked(name, wanted_id, kind)
            wanted = Wanted(wanted_id, is_parameter=scheme == PARAMETER_STORE)
            yield Rule(wanted, VariablesFrom(wanted_id, as_name=name), key, name)


def _checked(name: str, text: str, kind: values.Kind[str]) -> None:
    try:
        kind.parse(text)
    except Unacceptable:
        raise VariablesFailed(f"{name} names {text[:60]!r}; allowed: {kind.allowed}") from None


def _in_its_region(wanted: Wanted, own: str) -> Wanted:
    """Return the same with the region that an ARN names, where none is given; ours is no other region."""
    parts = wanted.id.split(":")
    region = wanted.region or (parts[3] if wanted.id.startswith("arn:") else "")
    return wanted._replace(region="" if region == own else region)
