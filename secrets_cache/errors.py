"""
Every error this project raises on purpose, as data.

    SecretsCacheError
    ├── InvalidRequest            the caller asked for something that cannot be meant
    ├── SecretError               one secret cannot be given
    │   ├── SecretNotConfigured   it is neither listed nor allowed
    │   ├── KeyNotFound           it has no such key
    │   ├── SecretNotFound        AWS says there is none                 (definite)
    │   ├── SecretRefused         AWS says no, and why                   (definite)
    │   └── SecretUnavailable     AWS gave no usable answer this time    (passing)
    │       └── SecretTimeout     AWS gave no answer within the budget   (passing)
    ├── VariablesFailed           the environment variables that secrets are to become cannot be had
    ├── PlaceUnknown              of what is given by name it is not known in which region or account it is
    └── ExtensionsApiError        the Extensions API did not do what was asked

Rules
-----
1. An error carries facts as attributes and derives its text from them.
2. No error ever holds the value of a secret, a token or a credential.
3. What an error means in HTTP is the server's business, not ours.
"""


class SecretsCacheError(Exception):
    """Anything this project raises on purpose."""


class InvalidRequest(SecretsCacheError):
    """
    A caller's request has a part that cannot be meant.

    Attributes:
        reason: What is wrong and what is allowed; one sentence, safe to show to the caller.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SecretError(SecretsCacheError):
    """
    One secret cannot be given.

    Attributes:
        name: What the secret was asked by: a name, an ARN or an alias.
        code: AWS's error code where AWS gave one, else a short word of ours.
        what: What it is: a secret, a parameter, or the role that may read it.
    """

    code = "error"
    what = "secret"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class SecretNotConfigured(SecretError):
    """The secret is neither listed in config.yaml nor allowed by one of its `allow` patterns."""

    code = "secret-not-configured"

    def __str__(self) -> str:
        return f"{self.name!r} is not listed in config.yaml, and no pattern under allow covers it"


class KeyNotFound(SecretError):
    """
    The secret is JSON, but has no such key.

    Attributes:
        key: The key or JSON pointer (RFC 6901) that was asked for.
    """

    code = "key-not-found"

    def __init__(self, name: str, key: str) -> None:
        super().__init__(name)
        self.key = key

    def __str__(self) -> str:
        return f"{self.name!r} has no key {self.key!r}"


class SecretNotFound(SecretError):
    """
    AWS says that there is no such secret or version. Definite: never masked by an old value past its ttl.

    Attributes:
        region: Where AWS was asked; empty for the function's own region.
        role_arn: The role that asked; empty for the function's own.
    """

    region = ""
    role_arn = ""

    def __init__(self, name: str, *, code: str = "ResourceNotFoundException") -> None:
        super().__init__(name)
        self.code = code

    def __str__(self) -> str:
        service = "AWS Secrets Manager" if self.what == "secret" else "Parameter Store"
        account = f"the account of {self.role_arn}" if self.role_arn else "this account"
        return f"{self.what} {self.name!r} was not found in {service} in {self.region or 'this region'} and {account}"


class SecretRefused(SecretError):
    """
    AWS refused, for a reason that asking again will not change. Definite.

    Attributes:
        code: AWS's error code, such as "AccessDeniedException".
        aws_message: AWS's own words, shortened; empty if it gave none.
    """

    def __init__(self, name: str, *, code: str, aws_message: str = "") -> None:
        super().__init__(name)
        self.code = code
        self.aws_message = aws_message

    def __str__(self) -> str:
        said = f": {self.aws_message}" if self.aws_message else ""
        return f"AWS refused {self.what} {self.name!r} with {self.code}{said}"


class SecretUnavailable(SecretError):
    """
    AWS gave no usable answer, for a reason that may pass.

    Attributes:
        code: AWS's error code, or a short word of ours such as "connection-failed".
        cause: What happened, in words.
        retry_after_seconds: When asking again makes sense; the cache sets it each time it raises the error.
    """

    retry_after_seconds = 1.0

    def __init__(self, name: str, *, code: str, cause: str) -> None:
        super().__init__(name)
        self.code = code
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.what} {self.name!r} is unavailable: {self.cause}"


class SecretTimeout(SecretUnavailable):
    """
    AWS gave no answer in time.

    Attributes:
        budget_seconds: The time that all attempts together were allowed.
    """

    def __init__(self, name: str, *, budget_seconds: float, setting: str = "fetch_timeout") -> None:
        cause = f"AWS did not answer within {budget_seconds:g} s ({setting})"
        super().__init__(name, code="timeout", cause=cause)
        self.budget_seconds = budget_seconds


class VariablesFailed(SecretsCacheError):
    """
    The environment variables that secrets are to become cannot be had.

    Attributes:
        reason: Why, and what to do; one sentence, safe to show.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PlaceUnknown(SecretsCacheError):
    """
    Something is given by name, and it is not known where that is.

    Attributes:
        what: What is not known: "region" or "account".
        name: The name.
    """

    def __init__(self, what: str, name: str) -> None:
        super().__init__(what, name)
        self.what = what
        self.name = name

    def __str__(self) -> str:
        return f"{self.name!r} is a name, and in which {self.what} it is meant is not known"


class ExtensionsApiError(SecretsCacheError):
    """
    The Lambda Extensions API did not do what was asked.

    Attributes:
        call: The call, such as "POST /extension/register".
        reason: What came back instead.
    """

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(call, reason)
        self.call = call
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.call}: {self.reason}"
