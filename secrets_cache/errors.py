"""
Every error that this project raises on purpose, as data.

    SecretsCacheError
    ├── InvalidRequest            a caller's request is not valid
    ├── SecretError               one secret cannot be served
    │   ├── SecretNotConfigured   it is neither listed nor allowed
    │   ├── KeyNotFound           it has no such key
    │   ├── SecretNotFound        AWS does not have it                       (definite)
    │   │   ├── VersionNotFound   AWS does not have that version of it       (definite)
    │   │   └── MemberNotFound    it was not below its path                  (definite)
    │   ├── SecretRefused         AWS refused the call                       (definite)
    │   │   └── ValueMissing      AWS has the parameter, but gave no value   (definite)
    │   └── SecretUnavailable     AWS gave no usable answer this time        (passing)
    │       └── SecretTimeout     AWS gave no answer within the time limit   (passing)
    ├── VariablesFailed           the environment variables cannot be set
    ├── PlaceUnknown              the region or account of a bare name is unknown
    └── ExtensionsApiError        a call of the Extensions API failed

A definite error ends the use of an old value that has expired; behind a passing one an old value may be served.

Rules
-----
1. An error carries facts as attributes and derives its text from them.
2. No error ever holds the value of a secret, a token or a credential.
3. What an error means in HTTP is known to `server` alone.

Longer than most modules here: it is the one tree of all errors.
"""

# The setting that limits a fetch, unless something narrower does.
FETCH_TIMEOUT = "fetch_timeout"


def add_advice(sentence: str, advice: str) -> str:
    """Return a sentence with what to do behind it. AWS's words end in a full stop, ours do not."""
    return f"{sentence.rstrip('.')}; {advice}" if advice else sentence


def describe_missing_file(path: str) -> str:
    """Return how a message names the config.yaml that was looked for and is not there."""
    return f"there is no config.yaml (looked for {path})"


def quote_aws(message: str) -> str:
    """Return AWS's message as the end of a sentence that may go on: without its final dot. Nothing for no message."""
    is_shortened = message.endswith("..")
    return f": {message if is_shortened else message.removesuffix('.')}" if message else ""


class SecretsCacheError(Exception):
    """Any error that this project raises on purpose."""


class InvalidRequest(SecretsCacheError):
    """
    A caller's request is not valid.

    Attributes:
        reason: What is wrong and what is allowed, in one sentence that may be shown to the caller.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SecretError(SecretsCacheError):
    """
    One secret cannot be served.

    Attributes:
        name: The name, ARN or alias that the caller used.
        code: AWS's error code if AWS gave one, else a code of this project.
        what: "secret", "parameter", or "role": the role that reads it.
        aws_status: The HTTP status of AWS's answer; 0 if AWS did not answer, or not in its own form.
        aws_message: AWS's own message, shortened; empty if there was none.
        advice: What to do about it where this program runs; empty if nothing is known.
        place: What was asked in place of AWS; empty for AWS.
    """

    code = "error"
    what = "secret"
    place = ""
    aws_status = 0
    aws_message = ""
    advice = ""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    @property
    def is_answer(self) -> bool:
        """Whether AWS answered for the secret itself: the region exists, and the role could be assumed."""
        return self.what != "role" and (isinstance(self, (SecretNotFound, SecretRefused)) or self.aws_status > 0)


class SecretNotConfigured(SecretError):
    """
    The secret is not listed in config.yaml, and no `allow` pattern matches it.

    Attributes:
        missing_file: The path where no config.yaml was; empty if there was one.
        suggestion: The listed name that was probably meant; empty if none is like it.
        has_problems: Whether something is wrong with the configuration, which may be why.
    """

    code = "secret-not-configured"

    def __init__(self, name: str, missing_file: str = "", suggestion: str = "", *, has_problems: bool = False) -> None:
        super().__init__(name)
        self.missing_file = missing_file
        self.suggestion = suggestion
        self.has_problems = has_problems

    def __str__(self) -> str:
        if self.missing_file:
            reason = f"not listed: {describe_missing_file(self.missing_file)}, and no variable lists it"
        else:
            reason = "not listed in config.yaml, and no pattern under allow covers it"
        problems = "; the configuration has problems, which /health and the log list" if self.has_problems else ""
        return f"{self.name!r} is {reason}{self._describe_suggestion()}{problems}"

    def _describe_suggestion(self) -> str:
        if not self.suggestion:
            return ""
        is_path = self.suggestion.endswith("/") and not self.name.endswith("/")
        if is_path and self.suggestion.strip("/") == self.name.strip("/"):
            return f"; a path ends in a slash: {self.suggestion!r}"
        return f" (did you mean {self.suggestion!r}?)"


class KeyNotFound(SecretError):
    """
    The secret is JSON, but does not have the key.

    Attributes:
        key: The key or JSON pointer (RFC 6901) that the caller asked for.
    """

    code = "key-not-found"

    def __init__(self, name: str, key: str) -> None:
        super().__init__(name)
        self.key = key

    def __str__(self) -> str:
        return f"{self.name!r} has no key {self.key!r}"


class SecretNotFound(SecretError):
    """
    AWS does not have the secret. Definite.

    Attributes:
        aws_message: AWS's own message, shortened; empty if there was none.
        region: The region that was asked; empty if it is not known.
        role_arn: The role that was used; empty for the function's own.
        selectors: The id and the label of the version that was asked for; empty for the current version.
    """

    region = ""
    role_arn = ""
    selectors: tuple[str, ...] = ()

    def __init__(self, name: str, *, code: str = "ResourceNotFoundException", aws_message: str = "") -> None:
        super().__init__(name)
        self.code = code
        self.aws_message = aws_message

    @classmethod
    def of_parameter(cls, name: str) -> "SecretNotFound":
        """Return the error of a parameter that Parameter Store does not have."""
        error = cls(name, code="ParameterNotFound")
        error.what = "parameter"
        return error

    def __str__(self) -> str:
        if self.place:
            return f"{self._describe()} was not found in {self.place}"
        service = "AWS Secrets Manager" if self.what == "secret" else "Parameter Store"
        region, account = self.region or "this region", self._describe_account()
        said = quote_aws(self.aws_message)
        return f"{self._describe()} was not found in {service} in {region} and {account}{said}"

    def _describe_account(self) -> str:
        # An ARN names its account, which may be another one than the caller's. Its fields: `core.arn`.
        if self.name.startswith("arn:") and (account := "".join(self.name.split(":")[4:5])):
            return f"account {account}"
        return f"the account of {self.role_arn}" if self.role_arn else "this account"

    def _describe(self) -> str:
        version = f"version {' and '.join(map(repr, self.selectors))} of " if self.selectors else ""
        return f"{version}{self.what} {self.name!r}"


class VersionNotFound(SecretNotFound):
    """AWS has the secret, but not the version or the label that was asked for. Definite."""

    def _describe(self) -> str:
        return super()._describe() if self.selectors else f"this version of {super()._describe()}"


class MemberNotFound(SecretNotFound):
    """
    A parameter was not among those below a listed path when AWS was last asked for the path. Definite.

    Attributes:
        path: The path.
        age_seconds: How long ago AWS was asked.
    """

    what = "parameter"

    def __init__(self, name: str, *, path: str, age_seconds: float) -> None:
        super().__init__(name, code="ParameterNotFound")
        self.path = path
        self.age_seconds = age_seconds

    def __str__(self) -> str:
        asked = f"when AWS was asked {self.age_seconds:.0f} s ago"
        return f"parameter {self.name!r} was not found below {self.path!r} {asked}; refresh=true asks again"


class SecretRefused(SecretError):
    """
    AWS refused the call, for a reason that another attempt would not change. Definite.

    Attributes:
        code: AWS's error code, such as "AccessDeniedException".
        aws_message: AWS's own message, shortened; empty if there was none.
    """

    def __init__(self, name: str, *, code: str, aws_message: str = "") -> None:
        super().__init__(name)
        self.code = code
        self.aws_message = aws_message

    def __str__(self) -> str:
        said = f"AWS refused {self.what} {self.name!r} with {self.code}{quote_aws(self.aws_message)}"
        return add_advice(said, self.advice)


class ValueMissing(SecretRefused):
    """Parameter Store has the parameter, but gave no value for it: it refers to a binary secret. Definite."""

    what = "parameter"

    def __init__(self, name: str) -> None:
        super().__init__(name, code="no-value")

    def __str__(self) -> str:
        return f"parameter {self.name!r} has no value: it refers to a binary secret; read that from Secrets Manager"


class SecretUnavailable(SecretError):
    """
    AWS gave no usable answer, for a reason that may pass.

    Attributes:
        code: AWS's error code, or a code of this project such as "connection-failed".
        cause: What happened, in words.
        is_throttled: Whether AWS is overloaded, or the account's quota is used up: asking again soon makes it worse.
        retry_after_seconds: After how long another attempt makes sense; the cache sets it whenever it raises the error.
    """

    retry_after_seconds = 1.0
    is_throttled = False

    def __init__(self, name: str, *, code: str, cause: str) -> None:
        super().__init__(name)
        self.code = code
        self.cause = cause

    def __str__(self) -> str:
        return add_advice(f"{self.what} {self.name!r} is unavailable: {self.cause}", self.advice)


class SecretTimeout(SecretUnavailable):
    """
    AWS gave no answer in time.

    Attributes:
        budget_seconds: The time limit for all attempts together.
        setting: The setting that the limit comes from, or what the limit is for.

    Args:
        silent: What did not answer.
    """

    def __init__(self, name: str, *, budget_seconds: float, setting: str = FETCH_TIMEOUT, silent: str = "AWS") -> None:
        cause = f"{silent} did not answer within {budget_seconds:g} s ({setting})"
        super().__init__(name, code="timeout", cause=cause)
        self.budget_seconds = budget_seconds
        self.setting = setting


class VariablesFailed(SecretsCacheError):
    """
    The environment variables cannot be set from secrets.

    Attributes:
        reason: Why, and what to do, in one sentence that may be shown.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PlaceUnknown(SecretsCacheError):
    """
    A bare name was given, but its region or account is unknown.

    Attributes:
        what: What is unknown: "region" or "account".
        name: The name.
    """

    def __init__(self, what: str, name: str) -> None:
        super().__init__(what, name)
        self.what = what
        self.name = name

    def __str__(self) -> str:
        return f"{self.name!r} is a name, not an ARN, and its {self.what} is unknown"


class ExtensionsApiError(SecretsCacheError):
    """
    A call of the Lambda Extensions API failed.

    Attributes:
        call: The call, such as "POST /extension/register".
        reason: What went wrong, or what was answered.
    """

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(call, reason)
        self.call = call
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.call}: {self.reason}"
