"""
The types of value that settings have: each parses a text, and describes in words what it allows.

The words are computed from the bounds, so that errors and documentation always agree with the code.

Longer than most modules here: below the types is the one table of what settings allow.
"""

import re
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from secrets_cache.config.model import MAX_FETCH_SECONDS, Metrics
from secrets_cache.core.arn import SecretReference

V_co = TypeVar("V_co", covariant=True)

_UNITS = {"s": 1, "m": 60, "h": 3600}
# 30 days.
_MAX_SECONDS = 30 * 86400
MAX_PORT = 65535


class InvalidValue(ValueError):
    """The text is not a value of this type. Its own text, if any, says what to write, better than `allowed` does."""


class ValueType(Protocol[V_co]):
    """
    A type of value.

    Attributes:
        allowed: What is allowed, in words.
    """

    allowed: str

    def parse(self, text: str) -> V_co:
        """Return the value that `text` means. Raises `InvalidValue`."""
        ...


def suggest_value(value_type: ValueType[object], text: str) -> str:
    """Return the question whether a value was meant that is like an invalid `text`; empty if none is."""
    from secrets_cache.config import suggestions  # noqa: PLC0415 - for problems only

    if isinstance(value_type, Choice):
        return suggestions.write_question(suggestions.suggest_word(text, value_type.words))
    suggest = None
    if value_type in (SECRET_ID, SECRET_REFERENCE, PARAMETER_ID):
        is_parameter = value_type is PARAMETER_ID
        other = "secretsmanager" if is_parameter else "ssm"
        if re.match(f"{other}://|arn:[^:]*:{other}:", text):
            return " (a secret, not a parameter)" if is_parameter else " (a parameter, not a secret)"
        if "*" in text and not is_parameter:
            return " (a pattern, which belongs under allow)"
        suggest = suggestions.suggest_path if "*" in text else suggestions.suggest_id
    elif value_type is REGION:
        suggest = suggestions.suggest_region
    elif isinstance(value_type, Duration):
        suggest = suggestions.suggest_duration
    elif isinstance(value_type, Minutes):
        suggest = suggestions.suggest_minutes
    elif isinstance(value_type, Share):
        suggest = suggestions.suggest_share
    meant = suggest(text) if suggest else ""
    try:
        value_type.parse(meant)
    except InvalidValue:
        return ""
    return suggestions.write_question(meant)


class _Number:
    """A number between two bounds; by default it is more than 0."""

    form: str
    unit = ""

    def __init__(self, *, at_most: int, at_least: int = 0, may_be_zero: bool = False, least: str = "") -> None:
        self.at_most = at_most
        self.at_least = at_least
        self.may_be_zero = may_be_zero
        least = least or (f"at least {at_least}{self.unit}" if at_least or may_be_zero else "more than 0")
        self.allowed = self.form.format(bounds=f"{least}, at most {at_most}{self.unit}")

    def _parse(self, text: str, factor: int = 1) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?|\.[0-9]{1,9}", text):
            raise InvalidValue
        number = float(text) * factor
        if not self.at_least <= number <= self.at_most or (number == 0 and not self.may_be_zero):
            raise InvalidValue
        return number


class Duration(_Number):
    """Seconds, written as `30s`, `5m`, `2h` or a plain number."""

    form = "a duration such as 30s, 5m, 2h, or a number of seconds; {bounds}"
    unit = " s"

    def parse(self, text: str) -> float:
        """Return the seconds."""
        return self._parse(text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else self._parse(text)


class Minutes(_Number):
    """Minutes, decimals allowed, but at least a second; parsed to seconds."""

    form = "a number of minutes, decimals allowed; {bounds}"

    def parse(self, text: str) -> float:
        """Return the seconds."""
        seconds = self._parse(text) * 60
        if seconds < 1:
            raise InvalidValue
        return seconds


class Share(_Number):
    """A share of something, written as a percentage or 0; parsed to a number from 0 to 1."""

    form = "a percentage such as 10%, {bounds}; or 0"
    unit = "%"

    def parse(self, text: str) -> float:
        """Return the share."""
        share = self._parse(text.removesuffix("%")) / 100
        if share and not text.endswith("%"):
            raise InvalidValue
        return share


class Whole:
    """A whole number."""

    def __init__(self, at_least: int, at_most: int) -> None:
        self.at_least = at_least
        self.at_most = at_most
        self.allowed = f"a whole number from {at_least} to {at_most}"

    def parse(self, text: str) -> int:
        """Return the number; it may have leading zeros."""
        # Their number is not limited, but that of the digits that `int` takes is.
        if not re.fullmatch(r"0*[0-9]{1,9}", text) or not self.at_least <= (number := int(text[-9:])) <= self.at_most:
            raise InvalidValue
        return number


class Limited:
    """A whole number; one outside the bounds is taken as the nearest within them."""

    def __init__(self, at_least: int, at_most: int) -> None:
        self._at_least = at_least
        self._at_most = at_most
        self.allowed = f"a whole number from {at_least} to {at_most}; one outside is taken as the nearest"

    def parse(self, text: str) -> int:
        """Return the number, or the nearest that is allowed."""
        return min(max(self.parse_unlimited(text), self._at_least), self._at_most)

    def parse_unlimited(self, text: str) -> int:
        """Return the number that the text holds. Raises `InvalidValue`."""
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise InvalidValue
        return int(text)


class Choice(Generic[V_co]):
    """One of a few words; their case does not count."""

    def __init__(self, meanings: Mapping[str, V_co]) -> None:
        self.allowed = "one of " + ", ".join(meanings)
        self.words = tuple(meanings)
        self.meanings = {word.lower(): meaning for word, meaning in meanings.items()}

    def parse(self, text: str) -> V_co:
        """Return what the word means."""
        try:
            return self.meanings[text.lower()]
        except KeyError:
            raise InvalidValue from None


class Text:
    """Text of a given form."""

    def __init__(self, pattern: str, allowed: str) -> None:
        self._pattern = pattern
        self.allowed = allowed

    @property
    def schema_pattern(self) -> str:
        """The form of the whole text, as a regular expression, for the JSON Schema."""
        return self._pattern

    def parse(self, text: str) -> str:
        """Return the text."""
        # Compiled when first used: most are not.
        if not re.fullmatch(self._pattern, text):
            raise InvalidValue
        return text


class SecretId(Text):
    """The name or the ARN of a secret, with nothing behind it."""

    def parse(self, text: str) -> str:
        """Return the text."""
        try:
            return super().parse(text)
        except InvalidValue:
            reference = SecretReference.parse(text)
            if reference.secret_id == text:
                raise
            raise InvalidValue(_explain_reference(reference)) from None


def _explain_reference(reference: SecretReference) -> str:
    """Return what to write in place of ECS's form where only an id is allowed."""
    stage, version = reference.version_stage, reference.version_id
    parts = [
        f"the ARN alone, {reference.secret_id}" + (f", with version_stage: {stage}" if stage else ""),
        f"callers ask for the version with ?version_id={version}" if version else "",
        f"callers ask for the key with ?key={reference.key}" if reference.key else "",
        "ARN:key:stage:version, as ECS has it, is for env: and for references in variables",
    ]
    return "; ".join(filter(None, parts))


class Reference(Text):
    """A secret's name or ARN, or an ARN with a key and a version behind it, as ECS has it."""

    @property
    def schema_pattern(self) -> str:
        """The forms of both."""
        return rf"{self._pattern}|{_ARN}:[^:]*(:[^\s:]{{0,256}}(:[!-9;-~]{{0,256}})?)?"

    def parse(self, text: str) -> str:
        """Return the text."""
        reference = SecretReference.parse(text)
        super().parse(reference.secret_id)
        for part, value_type in ((reference.version_stage, STAGE), (reference.version_id, VERSION_ID)):
            if part:
                value_type.parse(part)
        return text


_NAME = r"[A-Za-z0-9/_+=.@!-]{1,512}"
_ARN = r"arn:aws[a-z0-9-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:" + _NAME
_PARAMETER = r"[A-Za-z0-9/_.-]{1,1011}"
_PARAMETER_ARN = r"arn:aws[a-z0-9-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter/" + _PARAMETER
_VERSION = r"[1-9][0-9]{0,18}"
_LABEL = r"[A-Za-z_.-][A-Za-z0-9_.-]{0,99}"

STALE_TIME = Duration(at_most=_MAX_SECONDS, may_be_zero=True)
TTL = Duration(at_least=1, at_most=_MAX_SECONDS)
TTL_MINUTES = Minutes(at_most=_MAX_SECONDS // 60, least="at least a second")
FETCH_TIMEOUT = Duration(at_most=MAX_FETCH_SECONDS)
REFRESH_AHEAD = Share(at_most=90, may_be_zero=True)
PORT = Whole(1, MAX_PORT)
PORT_OR_NONE = Whole(0, MAX_PORT)
SECRET_ID = SecretId(f"{_NAME}|{_ARN}", "the name or ARN of a secret: 1 to 512 letters, digits and /_+=.@!-")
SECRET_REFERENCE = Reference(
    f"{_NAME}|{_ARN}",
    "the name or ARN of a secret: 1 to 512 letters, digits and /_+=.@!-; or as ECS has it, ARN:key:stage:version",
)
PARAMETER_ID = Text(
    f"(?:{_PARAMETER}|{_PARAMETER_ARN})(?:(?<!/):(?:{_VERSION}|{_LABEL}))?",
    "the name, path or ARN of a parameter: letters, digits and /_.-; a version or a label may follow a colon",
)
ALIAS = Text(_NAME, "a name for requests: 1 to 512 letters, digits and /_+=.@!-")
PATTERN = Text(r"[A-Za-z0-9/_+=.@!:*?\[\]-]{1,2048}", "a name or ARN, in which *, ? and [...] are wildcards")
STAGE = Text(r"[^\s]{1,256}", "a staging label such as AWSCURRENT or AWSPREVIOUS")
VERSION_ID = Text(r"[!-~]{1,256}", "the id of a version")
REGION = Text(r"[a-z]{2,}(-[a-z0-9]+)+-[0-9]+", "an AWS region such as eu-west-1")
EXTERNAL_ID = Text(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", "an external id: 2 to 1224 letters, digits and +=,.@:/_-")
SESSION_NAME = Text(r"[A-Za-z0-9_+=,.@-]{2,64}", "a session name: 2 to 64 letters, digits and +=,.@_-")
PARAMETER_VERSION = Text(_VERSION, "a version number, at least 1")
PARAMETER_LABEL = Text(_LABEL, "a label: at most 100 letters, digits and _.-; it does not start with a digit")
ROLE = Text(r"arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}", "the ARN of an IAM role")
TOKEN = Text(r"[!-~]{1,4096}", "printable ASCII characters without spaces; or the word session")
LOG_LEVEL = Choice({level: level for level in ("DEBUG", "INFO", "WARNING", "ERROR")})
METRICS = Choice({member.value: member for member in Metrics})
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
NAMESPACE = Text(
    r"(?!AWS/)[A-Za-z0-9._/#-][A-Za-z0-9._/#:-]{0,254}",
    "a CloudWatch namespace: 1 to 255 letters, digits and ._/#:-; it starts with neither a colon nor AWS/",
)
YES_OR_NO = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
FLAG = Choice(YES_OR_NO)
# What AWS documents for its own layer, or, where it gives no bound, what is of use in Lambda. AWS's layer takes what is
# larger as the largest, so it is no bad configuration.
LAYER_TTL = Limited(0, 300)
LAYER_TIMEOUT = Limited(0, 900_000)
LAYER_CACHE_SIZE = Limited(0, 1000)
LAYER_CONNECTIONS = Limited(1, 20)
LAYER_LOG_LEVEL = Choice({"debug": "DEBUG", "info": "INFO", "warn": "WARNING", "error": "ERROR", "none": "ERROR"})
FLAG_VARIABLE = Choice({"1": True, **YES_OR_NO, "0": False})
