"""
Which TLS certificates of AWS are trusted: those that botocore trusts, and no other.

The few roots that AWS's endpoints chain to come first: reading them takes a twentieth of the time that all roots take.
"""

import os
import ssl


class TrustStore:
    """
    The TLS context of calls: with the few roots first, and after `widen` with all roots.

    Args:
        ca_bundle: A file of certificates to trust instead of both; empty for none.
    """

    def __init__(self, ca_bundle: str) -> None:
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._is_wide = bool(ca_bundle)

    def context(self) -> ssl.SSLContext:
        """Return the context to use. Raises OSError or ssl.SSLError if the certificates cannot be read."""
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_verify_locations(cafile=self._find_file())
            self._context = context
        return self._context

    def widen(self) -> bool:
        """Trust all that botocore trusts from now on; return whether that is more than before."""
        was_wide, self._is_wide, self._context = self._is_wide, True, None
        return not was_wide

    def _find_file(self) -> str:
        if self._ca_bundle:
            return self._ca_bundle
        if not self._is_wide:
            return os.path.join(os.path.dirname(__file__), "amazon_roots.pem")  # noqa: PTH118, PTH120
        import importlib.util  # noqa: PLC0415 - only a certificate that is not AWS's needs it

        # botocore is found without importing it.
        found = importlib.util.find_spec("botocore")
        if found is None or found.origin is None:
            raise FileNotFoundError("botocore")
        return os.path.join(os.path.dirname(found.origin), "cacert.pem")  # noqa: PTH118, PTH120
