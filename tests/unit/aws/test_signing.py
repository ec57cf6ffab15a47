"""Signature Version 4, held to botocore's own signer."""

import datetime as dt
from unittest import mock

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.aws.credentials import Credentials
from secrets_cache.aws.signing import sign
from tests.support.fakes import CANARY

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(
    body=st.binary(max_size=200),
    target=TEXT,
    region=TEXT.filter(lambda text: "/" not in text),
    token=st.one_of(st.just(""), TEXT),
    seconds=st.integers(0, 4_000_000_000),
)
def test_a_signature_is_the_one_that_botocore_makes(body, target, region, token, seconds):
    """Header by header, for any body, token, region and time."""
    headers = {"Host": "host:81", "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    credentials = Credentials("AKID", "a secret key", token)
    ours = sign(
        headers, body, credentials=credentials, region=region, service="secretsmanager", at_seconds=float(seconds)
    )

    request = AWSRequest("POST", "http://host:81/", dict(headers), body)
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    theirs = SigV4Auth(BotocoreCredentials("AKID", "a secret key", token or None), "secretsmanager", region)
    with mock.patch("botocore.auth.get_current_datetime", return_value=at):
        theirs.add_auth(request)

    assert dict(request.headers.items()) == ours


def test_credentials_never_show():
    """Not even by mistake."""
    assert CANARY not in repr(Credentials(CANARY, CANARY, CANARY))
