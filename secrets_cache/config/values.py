"""
The types of value that settings have: each parses a text, and describes in words what it allows.

The words are computed from the bounds, so that errors and documentation always agree with the code.
"""

import re
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from secrets_cache.config.model import Metrics

V_co = TypeVar("V_co", covariant=True)

_UNITS = {"s": 1, "m": 60, "h": 3600}
_DAY_SECONDS = 86400
MAX_PORT = 65535


class InvalidValue(ValueError):
    """The text is not a value of this type."""


class ValueType(Protocol[V_co]):
    """A type of value."""

    @property
    def allowed(self) -> str:
        """Describe in words what is allowed."""
        ...

    def parse(self, text: str) -> V_co:
        """Return the value that `text` stands for, or raise `InvalidValue`."""
        ...


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?|\.[0-9]{1,9}", text):
        raise InvalidValue
    return float(text)


class Bounded:
    """A lower and an upper bound; the lower one may itself be excluded."""

    def __init__(self, *, at_least: float | None = None, more_than: float | None = None, at_most: float) -> None:
        self._at_least = at_least
        self._more_than = more_than
        self._at_most = at_most

    def _check(self, number: float) -> float:
        too_small = self._at_least is not None and number < self._at_least
        not_more = self._more_than is not None and number <= self._more_than
        if too_small or not_more or number > self._at_most:
            raise InvalidValue
        return number

    def _bounds(self, unit: str = "") -> str:
        if self._more_than is None:
            least = f"at least {_plain(self._at_least or 0)}{unit}"
        else:
            least = f"more than {_plain(self._more_than)}"
        return f"{least}, at most {_plain(self._at_most)}{unit}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


class Duration(Bounded):
    """Seconds, written as `30s`, `5m`, `2h` or a plain number."""

    @property
    def allowed(self) -> str:
        """Describe in words what is allowed."""
        return f"a duration such as 30s, 5m, 2h, or a number of seconds; {self._bounds(' s')}"

    def parse(self, text: str) -> float:
        """Return the seconds."""
        number, factor = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
        return self._check(_number(number) * factor)


class Minutes(Bounded):
    """Minutes, decimals allowed; parsed to seconds."""

    @property
    def allowed(self) -> str:
        """Describe in words what is allowed."""
        return f"a number of minutes, decimals allowed; {self._bounds()}"

    def parse(self, text: str) -> float:
        """Return the seconds."""
        return self._check(_number(text)) * 60


class Share(Bounded):
    """A share of something, written as a percentage or 0; parsed to a number from 0 to 1."""

    @property
    def allowed(self) -> str:
        """Describe in words what is allowed."""
        return f"a percentage such as 10%, {self._bounds('%')}; or 0"

    def parse(self, text: str) -> float:
        """Return the share."""
        if text.endswith("%"):
            return self._check(_number(text[:-1])) / 100
        if _number(text) != 0:
            raise InvalidValue
        return 0.0


class Whole:
    """A whole number."""

    def __init__(self, *, at_least: int, at_most: int) -> None:
        self._at_least = at_least
        self._at_most = at_most

    @property
    def allowed(self) -> str:
        """Describe in words what is allowed."""
        return f"a whole number, at least {self._at_least}, at most {self._at_most}"

    def parse(self, text: str) -> int:
        """Return the number."""
        if not re.fullmatch(r"[0-9]{1,9}", text) or not self._at_least <= int(text) <= self._at_most:
            raise InvalidValue
        return int(text)


class Port:
    """A TCP port; 0 where that means none."""

    def __init__(self, *, at_least: int = 1) -> None:
        self._at_least = at_least

    @property
    def allowed(self) -> str:
        """Describe in words what is allowed."""
        return f"a whole number from {self._at_least} to {MAX_PORT}"

    def parse(self, text: str) -> int:
        """Return the port."""
        if not re.fullmatch(r"[0-9]{1,5}", text) or not self._at_least <= int(text) <= MAX_PORT:
            raise InvalidValue
        return int(text)


class Choice(Generic[V_co]):
    """One of a few words; their case does not count."""

    def __init__(self, meanings: Mapping[str, V_co]) -> None:
        self.allowed = "one of " + ", ".join(meanings)
        self._meanings = {word.lower(): meaning for word, meaning in meanings.items()}

    def parse(self, text: str) -> V_co:
        """Return what the word means."""
        try:
            return self._meanings[text.lower()]
        except KeyError:
            raise InvalidValue from None


class Text:
    """Text of a given form."""

    def __init__(self, pattern: str, allowed: str) -> None:
        self._pattern = pattern
        self.allowed = allowed

    def parse(self, text: str) -> str:
        """Return the text."""
        # Compiled when first used: most are not.
        if not re.fullmatch(self._pattern, text):
            raise InvalidValue
        return text


_NAME = r"[A-Za-z0-9/_+=.@!-]{1,512}"
_ARN = r"arn:aws[a-z0-9-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:" + _NAME
_PARAMETER = r"[A-Za-z0-9/_.-]{1,1011}"
_PARAMETER_ARN = r"arn:aws[a-z0-9-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter/" + _PARAMETER

LONG = Duration(at_least=0, at_most=30 * _DAY_SECONDS)
TTL = Duration(more_than=0, at_most=30 * _DAY_SECONDS)
TTL_MINUTES = Minutes(more_than=0, at_most=30 * _DAY_SECONDS / 60)
FETCH_TIMEOUT = Duration(more_than=0, at_most=60)
REFRESH_AHEAD = Share(at_least=0, at_most=90)
SECRET_ID = Text(f"{_NAME}|{_ARN}", "the name or ARN of a secret: 1 to 512 letters, digits and /_+=.@!-")
PARAMETER_ID = Text(f"{_PARAMETER}|{_PARAMETER_ARN}", "the name, path or ARN of a parameter: letters, digits and /_.-")
ALIAS = Text(_NAME, "a name for requests: 1 to 512 letters, digits and /_+=.@!-")
PATTERN = Text(r"[A-Za-z0-9/_+=.@!:*?\[\]-]{1,2048}", "a name or ARN, in which *, ? and [...] are wildcards")
STAGE = Text(r"[^\s]{1,256}", "a staging label such as AWSCURRENT or AWSPREVIOUS")
REGION = Text(r"[a-z]{2,}(-[a-z0-9]+)+-[0-9]+", "an AWS region such as eu-west-1")
EXTERNAL_ID = Text(r"[\w+=,.@:/-]{2,1224}", "an external id: 2 to 1224 letters, digits and +=,.@:/_-")
SESSION_NAME = Text(r"[\w+=,.@-]{2,64}", "a session name: 2 to 64 letters, digits and +=,.@_-")
PARAMETER_VERSION = Text(r"[1-9][0-9]{0,18}", "a version number, at least 1")
PARAMETER_LABEL = Text(
    r"[A-Za-z_.-][A-Za-z0-9_.-]{0,99}", "a label: at most 100 letters, digits and _.-; the first is no digit"
)
ROLE = Text(r"arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}", "the ARN of an IAM role")
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
# What AWS documents for its own layer.
LAYER_TTL = Whole(at_least=0, at_most=300)
LAYER_TIMEOUT = Whole(at_least=0, at_most=900_000)
LAYER_CACHE_SIZE = Whole(at_least=0, at_most=1000)
LAYER_CONNECTIONS = Whole(at_least=1, at_most=1000)
LAYER_LOG_LEVEL = Choice({"debug": "DEBUG", "info": "INFO", "warn": "WARNING", "error": "ERROR", "none": "ERROR"})
FLAG_VARIABLE = Choice({"1": True, **YES_OR_NO, "0": False})
