"""
A file of names and values in the place of AWS, for development: `--from-file`. The extension never takes it.

Rules
-----
1. The file is read anew for each fetch: a changed value arrives as a rotated one does. What has not changed is not
   parsed again.
2. It has one version of each value. The version's id is a number, and says nothing about the value.
"""

from collections.abc import Sequence
from typing import Self

from secrets_cache.aws.parameterstore import make_path
from secrets_cache.cli.arguments import CannotRun
from secrets_cache.config import ListedSecret
from secrets_cache.config.nodes import DocumentError
from secrets_cache.config.value_file import read_value_file
from secrets_cache.core.arn import Arn, list_possible_names
from secrets_cache.core.secret import ParameterFacts, Ref, Secret
from secrets_cache.core.source import FetchResults
from secrets_cache.errors import SecretError, SecretNotFound, SecretTimeout, SecretUnavailable, VersionNotFound
from secrets_cache.system.files import read_bytes

MAX_BYTES = 1024 * 1024


class FileSource:
    """The values in a file as a source of secrets and parameters. An async context manager, like AWS."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._data = b""
        self._values: dict[str, bytes] = {}
        # By name: the last value and the number of its version.
        self._versions: dict[str, tuple[bytes, int]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def fetch(self, ref: Ref) -> Secret:
        """
        Return a value of the file.

        Raises:
            SecretNotFound: It has no such name, or no such version.
            SecretUnavailable: It cannot be read.
        """
        try:
            values = self._read()
        except CannotRun as problem:
            error = SecretUnavailable(ref.secret_id, code="file-unreadable", cause=str(problem))
            error.what, error.place = ref.what, self._path
            raise error from None
        if ref.is_path:
            members = {
                name: self._make(Ref(name, is_parameter=True), name, values[name])
                for name in values
                if name.startswith(ref.secret_id) and name != ref.secret_id
            }
            if members:
                return make_path(ref.secret_id, members)
        names = [name for name in (ref.secret_id, *list_possible_names(ref.secret_id)) if name in values]
        if not names:
            raise self._not_found(SecretNotFound(ref.secret_id), ref)
        secret = self._make(ref, names[0], values[names[0]])
        if ref.version_id not in {None, secret.version_id} or ref.version_stage not in {None, "AWSCURRENT"}:
            raise self._not_found(VersionNotFound(ref.secret_id), ref)
        return secret

    async def fetch_many(self, refs: Sequence[Ref]) -> FetchResults:
        """Yield each with its value or error."""
        for ref in refs:
            try:
                yield ref, await self.fetch(ref)
            except SecretError as error:
                yield ref, error

    def create_timeout(self, ref: Ref, budget_seconds: float, setting: str) -> SecretTimeout:
        """Return the error of a fetch that took too long."""
        return SecretTimeout(ref.secret_id, budget_seconds=budget_seconds, setting=setting, silent=self._path)

    def list_items(self) -> tuple[tuple[ListedSecret, ...], tuple[ListedSecret, ...]]:
        """Return the secrets in the file, and the parameters: names that begin with a slash, and their paths."""
        secrets, parameters, paths = [], [], []
        for name in self._read():
            if name.startswith("/") and not name.endswith("/"):
                parameters.append(name)
                paths += [name[: end + 1] for end, char in enumerate(name) if char == "/" and end]
            else:
                secrets.append(name)
        return (
            tuple(ListedSecret(Ref(name), name) for name in secrets),
            tuple(ListedSecret(Ref(name, is_parameter=True), name) for name in dict.fromkeys((*parameters, *paths))),
        )

    def _read(self) -> dict[str, bytes]:
        try:
            data = read_bytes(self._path, MAX_BYTES)
            if data != self._data or not data:
                self._values = read_value_file(data)
                self._data = data
        except DocumentError as error:
            line = "" if error.line is None else f":{error.line}"
            raise CannotRun(f"--from-file {self._path}{line}: found {error.found}; allowed: {error.allowed}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CannotRun(f"--from-file {self._path}: {reason}") from None
        return self._values

    def _not_found(self, error: SecretNotFound, ref: Ref) -> SecretNotFound:
        error.what, error.place, error.selectors = ref.what, self._path, tuple(ref.selectors.values())
        return error

    def _make(self, ref: Ref, name: str, value: bytes) -> Secret:
        before, number = self._versions.get(name, (None, 0))
        number += value != before
        self._versions[name] = (value, number)
        service, resource = (
            ("ssm", f"parameter{name}") if ref.is_parameter else ("secretsmanager", f"secret:{name}-local0")
        )
        arn = (
            name
            if Arn.parse(name)
            else str(Arn("aws", service, ref.context.region or "local", "000000000000", resource))
        )
        return Secret(
            arn=arn,
            name=name,
            version_id=str(number),
            created_at=None,
            value=value,
            is_text=True,
            stages=() if ref.is_parameter else ("AWSCURRENT",),
            parameter=ParameterFacts("SecureString", number) if ref.is_parameter else None,
        )


def open_file_source(path: str) -> FileSource | None:
    """Return the source that `--from-file` names; None without the option. Raises `CannotRun` if it cannot be read."""
    if not path:
        return None
    source = FileSource(path)
    source.list_items()
    return source
