"""
Which TLS certificates of AWS are trusted: those that botocore trusts, and no other.

The few roots that AWS's endpoints chain to come first: reading them takes a twentieth of the time that all roots take.
"""

import os
import ssl


class UnusableBundle(OSError):
    """
    The file of certificates that the settings name cannot be read.

    Attributes:
        bundle: Its path.
        reason: Why, in the words of the system.
    """

    def __init__(self, bundle: str, error: OSError) -> None:
        self.bundle = bundle
        self.reason = error.strerror or type(error).__name__
        super().__init__(f"{bundle}: {self.reason}")


class TrustStore:
    """
    The TLS context of calls: with the few roots first, and after `widen` with all roots.

    Args:
        ca_bundle: A file of certificates to trust instead of both; empty for none.

    Attributes:
        is_wide: Whether there is nothing more to trust.
    """

    def __init__(self, ca_bundle: str) -> None:
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self.is_wide = bool(ca_bundle)

    def context(self) -> ssl.SSLContext:
        """Return the context to use. Raises `UnusableBundle`, or OSError if other certificates cannot be read."""
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._load(context)
            self._context = context
        return self._context

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_verify_locations(cafile=self._find_file())
        except OSError as error:
            if not self._ca_bundle:
                raise
            raise UnusableBundle(self._ca_bundle, error) from None

    def widen(self) -> None:
        """Trust all that botocore trusts from now on."""
        if not self.is_wide:
            self.is_wide, self._context = True, None

    def _find_file(self) -> str:
        if self._ca_bundle:
            return self._ca_bundle
        if not self.is_wide:
            return os.path.join(os.path.dirname(__file__), "amazon_roots.pem")  # noqa: PTH118, PTH120
        import importlib.util  # noqa: PLC0415 - only a certificate that is not AWS's needs it

        # botocore is found without importing it.
        found = importlib.util.find_spec("botocore")
        if found is None or found.origin is None:
            raise FileNotFoundError("botocore")
        return os.path.join(os.path.dirname(found.origin), "cacert.pem")  # noqa: PTH118, PTH120
