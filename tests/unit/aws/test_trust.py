"""Which TLS certificates are trusted."""

import ssl
from pathlib import Path

import botocore
import pytest

import secrets_cache.aws.trust as module
from secrets_cache.aws.trust import TrustStore
from tests.support import upstream as stub

ALL = Path(botocore.__file__).parent / "cacert.pem"


def subjects(context: ssl.SSLContext) -> set[str]:
    """Return whom a context trusts."""
    return {str(certificate["subject"]) for certificate in context.get_ca_certs()}


def test_the_few_roots_are_among_those_that_botocore_trusts():
    """Each of them, to the byte."""
    roots = (Path(module.__file__).parent / "amazon_roots.pem").read_text()
    certificates = [part.partition("-----END")[0] for part in roots.split("-----BEGIN CERTIFICATE-----")[1:]]

    assert 5 == len(certificates)
    assert all(certificate in ALL.read_text() for certificate in certificates)
    assert 5 == len(subjects(TrustStore("").context()))


def test_all_that_botocore_trusts_are_trusted_once_it_is_widened():
    """They are read once, however often that is asked for."""
    trust = TrustStore("")
    few = trust.context()
    everything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    everything.load_verify_locations(ALL)

    trust.widen()
    every = trust.context()
    trust.widen()
    assert trust.is_wide
    assert few is not every is trust.context()
    assert subjects(everything) == subjects(every)


def test_a_bundle_is_all_that_is_trusted(tmp_path):
    """AWS_CA_BUNDLE takes the place of all others."""
    trust = TrustStore(str(stub.write_certificate(tmp_path)))

    assert trust.is_wide
    assert 1 == len(subjects(trust.context()))
    with pytest.raises(OSError, match="No such file"):
        TrustStore("/nonexistent.pem").context()


def test_a_context_is_kept():
    """Reading certificates takes long."""
    trust = TrustStore("")

    assert trust.context() is trust.context()
    assert ssl.TLSVersion.TLSv1_2 == trust.context().minimum_version
