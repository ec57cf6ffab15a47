"""
A secret as bytes on the wire: the representation (RFC 9110 section 3.2) and the headers that go with it.

Rules
-----
1. A whole value leaves byte for byte as AWS stored it.
2. Headers say what AWS said: which version it is, when that was made, when we got it.
"""

import re
import time
from collections.abc import Sequence

from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.json_text import NoSuchKey, NotJson, is_document, select
from secrets_cache.core.results import CacheResult
from secrets_cache.errors import InvalidRequest, KeyNotFound

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def represent(held: CachedValue, name: str, key: str | None) -> tuple[str, bytes]:
    """
    Return the content type and the bytes of a value, or of one `key` of it.

    Raises:
        InvalidRequest: A key is asked for, but the value is not JSON.
        KeyNotFound: There is no such key.
    """
    secret = held.secret
    if key is None:
        if not secret.is_text:
            return BINARY, secret.value
        return (JSON if is_document(secret.value.decode()) else TEXT), secret.value
    try:
        # Text that is not JSON is as good as no text.
        selected, is_json = select(secret.value.decode() if secret.is_text else "", key)
        return (JSON if is_json or is_document(selected) else TEXT), selected.encode()
    except NoSuchKey:
        raise KeyNotFound(name, key) from None
    except (NotJson, UnicodeEncodeError):
        raise InvalidRequest("parameter 'key' needs a secret that is a JSON object; this one is not") from None


def headers(answer: CacheResult) -> dict[str, str]:
    """Return the headers of an answer, whatever part of the value is sent."""
    held = answer.held
    fields = {
        "ETag": f'"{held.secret.version_id}"',
        "Date": http_date(held.received_at),
        "Cache-Status": f"secrets-cache; {answer.served.value}",
        "Cache-Control": "no-store",
    }
    if held.secret.created_at is not None:
        fields["Last-Modified"] = http_date(held.secret.created_at)
    return fields


def http_date(seconds: float) -> str:
    """Return a time since the epoch as RFC 9110 section 5.6.7 writes it."""
    # Not strftime, whose names are the locale's; not email.utils, which takes longer to import than all of this.
    at = time.gmtime(seconds)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    clock = f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
    return f"{day}, {at.tm_mday:02d} {month} {at.tm_year:04d} {clock} GMT"


def is_unchanged(if_none_match: Sequence[str], entity_tag: str) -> bool:
    """
    Return whether the caller has this version already (RFC 9110 section 13.1.2, weak comparison).

    Args:
        if_none_match: The values of the lines of that name: together one list (section 5.3).
        entity_tag: This version's.
    """
    combined = ", ".join(if_none_match)
    return combined.strip() == "*" or entity_tag in _ENTITY_TAG.findall(combined)
