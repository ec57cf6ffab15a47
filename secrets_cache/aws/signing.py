"""
Signature Version 4, for a POST of a JSON body to the root of a service.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

Rules
-----
1. Standard library only. The tests compare it with botocore's own signer, for any header, body and time.
2. No I/O: the time is an argument.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping

from secrets_cache.aws.credentials import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"


def sign(
    headers: Mapping[str, str], body: bytes, *, credentials: Credentials, region: str, service: str, at_seconds: float
) -> dict[str, str]:
    """
    Return the headers, and those that make up their signature.

    Args:
        headers: The headers to sign, `Host` among them.
        body: The request's body.
        credentials: The credentials of the caller.
        region: The region's name.
        service: The service's name for signatures.
        at_seconds: The time of the signature, in seconds since the epoch.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at_seconds))
    headers = {**headers, "X-Amz-Date": stamp}
    if credentials.token:
        headers["X-Amz-Security-Token"] = credentials.token
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    names = ";".join(name for name, _ in lines)
    canonical = "\n".join(
        ["POST", "/", "", *(f"{name}:{value}" for name, value in lines), "", names, hashlib.sha256(body).hexdigest()]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{credentials.access_key}/{scope}"
    headers["Authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers
