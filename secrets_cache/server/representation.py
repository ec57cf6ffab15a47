"""
A secret as bytes on the wire: its representation (RFC 9110 section 3.2) and the headers that go with it.

Rules
-----
1. A whole value leaves byte for byte as AWS stored it.
2. Headers repeat what AWS said: which version it is, when AWS made that version, when AWS sent it.
3. No bytes of a value show in a repr, in formatted text or in the message of a failed comparison.
"""

import re
import time
from collections.abc import Sequence

from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.json_text import NoSuchKey, NotJson, is_document, select
from secrets_cache.core.results import CacheResult
from secrets_cache.errors import InvalidRequest, KeyNotFound, ValueMissing

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENTITY_TAG = r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")'


class Representation:
    """A value, or one key of it, as a response carries it."""

    __slots__ = ("body", "content_type")

    def __init__(self, content_type: str, body: bytes) -> None:
        self.content_type = content_type
        self.body = body

    def __repr__(self) -> str:
        return f"<Representation {self.content_type!r}, {len(self.body)} bytes>"


def represent(held: CachedValue, name: str, key: str | None) -> Representation:
    """
    Return the representation of a value, or of one `key` of it.

    Raises:
        InvalidRequest: A key is asked for, but the value is not JSON.
        KeyNotFound: The value has no such key.
        ValueMissing: AWS gave no value.
    """
    secret = held.secret
    if not secret.has_value:
        raise ValueMissing(name)
    if key is None:
        if not secret.is_text:
            return Representation(BINARY, secret.value)
        return Representation(JSON if is_document(secret.value.decode()) else TEXT, secret.value)
    try:
        # A binary value has no keys, like text that is not JSON.
        selected, is_json = select(secret.value.decode() if secret.is_text else "", key)
        return Representation(JSON if is_json or is_document(selected) else TEXT, selected.encode())
    except NoSuchKey:
        raise KeyNotFound(name, key) from None
    except (NotJson, UnicodeEncodeError):
        raise InvalidRequest("parameter 'key' needs a secret that is a JSON object; this one is not") from None


def build_headers(result: CacheResult) -> dict[str, str]:
    """Return the headers of a cached value, whatever part of it is sent."""
    held = result.held
    headers = {
        "ETag": f'"{held.secret.version_id}"',
        "Date": format_http_date(held.received_at),
        "Cache-Status": f"secrets-cache; {result.status.value}",
        "Cache-Control": "no-store",
    }
    if held.secret.created_at is not None:
        headers["Last-Modified"] = format_http_date(held.secret.created_at)
    return headers


def format_http_date(seconds: float) -> str:
    """Return a time, in seconds since the epoch, in the form of RFC 9110 section 5.6.7."""
    # Not strftime, whose names follow the locale; not email.utils, which takes longer to import than all of this.
    at = time.gmtime(seconds)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    clock = f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
    return f"{day}, {at.tm_mday:02d} {month} {at.tm_year:04d} {clock} GMT"


def matches_etag(if_none_match: Sequence[str], etag: str) -> bool:
    """
    Return whether the caller has this version already (RFC 9110 section 13.1.2, weak comparison).

    Args:
        if_none_match: The values of all If-None-Match headers: together one list (section 5.3).
        etag: The entity tag of this version.
    """
    combined = ", ".join(if_none_match)
    return combined.strip() == "*" or (combined != "" and etag in re.findall(_ENTITY_TAG, combined))
