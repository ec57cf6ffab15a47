"""
A secret as bytes on the wire: the representation (RFC 9110 section 3.2) and the headers that go with it.

Rules
-----
1. A whole value leaves byte for byte as AWS stored it.
2. Headers say what AWS said: which version it is, when that was made, when we got it.
"""

import re
from email.utils import formatdate

from secrets_cache.cache import Answer
from secrets_cache.errors import InvalidRequest, KeyNotFound
from secrets_cache.freshness import Held
from secrets_cache.jsontext import NoSuchKey, NotJson, is_document, select

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"

_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def represent(held: Held, name: str, key: str | None) -> tuple[str, bytes]:
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


def headers(answer: Answer) -> dict[str, str]:
    """Return the headers of an answer, whatever part of the value is sent."""
    held = answer.held
    fields = {
        "ETag": f'"{held.secret.version_id}"',
        "Date": formatdate(held.received_at, usegmt=True),
        "Cache-Status": f"secrets-cache; {answer.served.value}",
        "Cache-Control": "no-store",
    }
    if held.secret.created_at is not None:
        fields["Last-Modified"] = formatdate(held.secret.created_at, usegmt=True)
    return fields


def is_unchanged(if_none_match: str | None, entity_tag: str) -> bool:
    """Return whether the caller has this version already (RFC 9110 section 13.1.2, weak comparison)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or entity_tag in _ENTITY_TAG.findall(if_none_match)
