"""
Credentials that sign requests, and where they come from.

Rules
-----
1. No credential shows in a repr, a log line or an error.
2. Credentials that AWS rejected are not given again without asking their source anew.
"""

from typing import Final, Protocol


class Credentials:
    """What signs a request; `token` is empty where there is none. Their repr shows none of them."""

    __slots__ = ("access_key", "secret_key", "token")

    def __init__(self, access_key: str, secret_key: str, token: str) -> None:
        self.access_key: Final = access_key
        self.secret_key: Final = secret_key
        self.token: Final = token

    def __repr__(self) -> str:
        return "Credentials(...)"


class CredentialsProvider(Protocol):
    """
    Gives credentials, and renews them in time.

    Attributes:
        source: Where they come from, as the log shows it: botocore's name for it, such as `env` or `container-role`, or
            the ARN of a role.
    """

    source: str

    async def get(self, name: str) -> Credentials:
        """
        Return credentials that are valid now.

        Args:
            name: The secret, parameter or role that an error names.

        Raises:
            SecretError, RetryableError: There are none.
        """
        ...

    def reject(self, credentials: Credentials) -> bool:
        """Forget these credentials, which AWS rejected; return whether `get` may give others."""
        ...


class StaticCredentials:
    """The credentials in the environment of a process, which stay what they are."""

    source = "env"

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get(self, name: str) -> Credentials:  # noqa: ARG002 - there is no error
        """Return the credentials."""
        return self._credentials

    def reject(self, credentials: Credentials) -> bool:  # noqa: ARG002 - there are no others
        """Return False."""
        return False
