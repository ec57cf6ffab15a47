"""Log lines."""

import json
import logging

from secrets_cache.system.logs import JsonFormatter, describe_error
from tests.support.fakes import CANARY


def line(
    name: str, *arguments: object, level: int = logging.INFO, message: str = "some.event", error=None
) -> dict[str, object]:
    """Return the line that a record becomes, parsed."""
    record = logging.LogRecord(name, level, __file__, 1, message, arguments, error)
    found: dict[str, object] = json.loads(JsonFormatter().format(record))
    return found


def test_a_line_is_an_event_and_its_fields():
    """Time, level, event, then the fields in their order."""
    found = line("secrets_cache.core.cache", {"secret": "prod/db", "took_ms": 41})

    assert ["time", "level", "event", "secret", "took_ms"] == list(found)
    assert ("INFO", "some.event", "prod/db", 41) == (found["level"], found["event"], found["secret"], found["took_ms"])
    assert ("T", "Z") == (str(found["time"])[10], str(found["time"])[-1])


def test_an_event_may_have_no_fields():
    """Then it is all there is."""
    assert ["time", "level", "event"] == list(line("secrets_cache"))


def test_other_libraries_lines_lose_their_arguments():
    """They might hold anything; the template says where it came from."""
    found = line("botocore.parsers", CANARY, message="Response body: %s\nmore")

    assert ("library.message", "botocore.parsers", "Response body: %s") == (
        found["event"],
        found["logger"],
        found["message"],
    )
    assert CANARY not in json.dumps(found)
    assert "" == line("x", message="")["message"]
    assert "library.message" == line("secrets_cacheless")["event"]


def test_of_an_error_only_type_and_place_show():
    """Its text, and its traceback's, might hold anything."""
    try:
        int(CANARY)
    except ValueError as error:
        found = line("secrets_cache", error=(ValueError, error, error.__traceback__))

    assert "ValueError" == found["error"]
    assert str(found["at"]).startswith("test_logs.py:")
    assert CANARY not in json.dumps(found)
    assert {"error": "KeyError", "at": ""} == describe_error(KeyError(CANARY))
