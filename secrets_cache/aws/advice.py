"""
What to do about a failure, in words of the place where this program runs: in Lambda, or anywhere else.

A machine of one's own has no execution role, and no NAT gateway. Where a call went is known here too, so that the
commonest mistake, a wrong region or endpoint, is named.
"""

from collections.abc import Container

from secrets_cache.aws.errors import EXPIRED_CREDENTIALS, REJECTED_CREDENTIALS
from secrets_cache.core.text import shorten
from secrets_cache.errors import SecretError, SecretRefused, SecretUnavailable

# Of these, Lambda sets at least one for whatever it starts.
LAMBDA_VARIABLES = ("AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_EXEC_WRAPPER")
_SERVICES = {"secret": "Secrets Manager", "parameter": "Systems Manager", "role": "STS"}
_LOG_IN = "log in again, for example with `aws sso login`, or replace the temporary credentials"
_FIND = (
    "run `aws configure`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
    "a container or an instance needs a role"
)
_IN_VPC = "in a VPC, add a NAT gateway or an endpoint for {service}"
_NETWORK = "check the network, the proxy and AWS_ENDPOINT_URL"
_ENDPOINT = "check AWS_ENDPOINT_URL and the proxy"
_BUNDLE = "check AWS_CA_BUNDLE, AWS_ENDPOINT_URL and the proxy"
_PROXY = "check its address, or list AWS's hosts in NO_PROXY"
_REPLACE = "check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
# By code: in Lambda, and everywhere else.
_ADVICE = {
    "no-credentials": ("give the function an execution role", _FIND),
    "no-region": ("", "set it, or give the profile a region with `aws configure`"),
    "connection-failed": (_IN_VPC, _NETWORK),
    "timeout": (_IN_VPC, _NETWORK),
    "tls-failed": (_BUNDLE, _BUNDLE),
    "proxy-failed": (_PROXY, _PROXY),
    "malformed-answer": (_ENDPOINT, _ENDPOINT),
    **dict.fromkeys(("expired-credentials", *EXPIRED_CREDENTIALS), ("", _LOG_IN)),
    **dict.fromkeys(REJECTED_CREDENTIALS, ("", _REPLACE)),
}


def is_in_lambda(environ: Container[str]) -> bool:
    """Return whether this program runs in Lambda, given the names of its environment variables."""
    return any(name in environ for name in LAMBDA_VARIABLES)


def advise(error: SecretError, *, in_lambda: bool, region: str = "", variable: str = "", url: str = "") -> SecretError:
    """
    Return an error with what to do about it; if AWS was not reached, also with where the call went.

    Args:
        error: The error.
        in_lambda: Whether this program runs in Lambda.
        region: The region that was called; empty if it is not known.
        variable: The variable that holds the endpoint's URL; empty if none does.
        url: The endpoint's URL in this variable.
    """
    if isinstance(error, SecretUnavailable | SecretRefused):
        advice = _ADVICE.get(error.code, ("", ""))[0 if in_lambda else 1]
        error.advice = advice.format(service=_SERVICES[error.what])
    if isinstance(error, SecretUnavailable) and error.code == "connection-failed":
        _name_place(error, region, variable, url)
    return error


def _name_place(error: SecretUnavailable, region: str, variable: str, url: str) -> None:
    """Say where AWS was looked for, and if no service is there, that this is what to check."""
    # For failures only.
    from secrets_cache.aws.region_names import is_likely_region, suggest_region  # noqa: PLC0415
    from secrets_cache.config.suggestions import write_question  # noqa: PLC0415

    if variable:
        # A URL with a user's name and password in it is not shown.
        error.cause = f"could not connect to {shorten(url) if '@' not in url else f'the endpoint in {variable}'}"
        error.advice = f"check {variable} and the network"
    elif region:
        error.cause = f"could not connect to AWS in {region}"
        if not is_likely_region(region):
            error.advice = f"{region!r} is not an AWS region{write_question(suggest_region(region))}"
