"""
What is asked of AWS, and what AWS gives for it.

    Ref -> Secret

"Secret" means here everything that a Ref can name: a secret of Secrets Manager, a parameter of Parameter Store, or a
path of parameters. A path is one Secret with *members*: the parameters below it.

Rules
-----
1. A value never shows by accident: not in a repr, a format, the message of a failed comparison, or a pickle.
2. A value is kept as the bytes that AWS stored; text is UTF-8.
"""

from typing import TYPE_CHECKING, ClassVar, Final, NoReturn, SupportsIndex

from secrets_cache.core.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class AwsContext(NamedTuple):
    """
    Where AWS is asked, and as whom. An empty field means the function's own.

    Attributes:
        region: A region such as "eu-west-1". If empty, an ARN's own region counts.
        role_arn: The role to assume.
        external_id: The external id that the role's trust policy demands.
        session_name: The name of the role's session, as CloudTrail shows it.
    """

    region: str = ""
    role_arn: str = ""
    external_id: str = ""
    session_name: str = ""


class Ref(NamedTuple):
    """
    What AWS is asked for: one version of one secret or parameter, or a path. Also the key of a cache entry.

    Attributes:
        secret_id: A name or an ARN. A path of parameters ends in a slash and means everything below it.
        version_id: A version's id, or a parameter's version number; None for the version that `version_stage` names.
        version_stage: A staging label, or a parameter's label; None for the current version.
        context: Where AWS is asked, and as whom.
        is_parameter: Whether Parameter Store is asked; else Secrets Manager.
        is_decrypted: Whether a SecureString is decrypted. Secrets ignore it.
    """

    secret_id: str
    version_id: str | None = None
    version_stage: str | None = None
    context: AwsContext = AwsContext()
    is_parameter: bool = False
    is_decrypted: bool = True

    @property
    def is_path(self) -> bool:
        """Whether this is a path of parameters."""
        return self.is_parameter and self.secret_id.endswith("/")

    @property
    def selectors(self) -> dict[str, str]:
        """The id and the label of the version that is asked for, by the names of these fields; neither if not given."""
        return {name: value for name in ("version_id", "version_stage") if (value := getattr(self, name)) is not None}

    @property
    def what(self) -> str:
        """What errors call it: "parameter" or "secret"."""
        return "parameter" if self.is_parameter else "secret"


class Confidential:
    """
    A value object that can hold a secret. Equal to another of its type with equal fields.

    A subclass lists its fields in `__slots__`, names the one that must not show, and sets each field once. It is not a
    tuple, because a tuple can be unpacked, iterated and turned into a dict; and not a dataclass, because importing
    `dataclasses` takes milliseconds at the start.
    """

    __slots__: tuple[str, ...] = ()
    HIDDEN: ClassVar[str] = ""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__ if name != self.HIDDEN)
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    # Equal by contents, which may be a mapping.
    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a secret: it is neither pickled nor copied")


class ParameterFacts(Confidential):
    """
    What Parameter Store says of a parameter in addition to its value; None for a field that it left out.

    Attributes:
        type: `String`, `StringList` or `SecureString`.
        version: The version's number; 0 for a reference to Secrets Manager.
        data_type: The kind of data that the value is.
        selector: The version or the label that was asked for, with its colon.
        source_result: Of a reference, Secrets Manager's whole answer, the secret included.
        has_value: Whether there is a value. A reference to a binary secret may have none.
    """

    __slots__ = ("data_type", "has_value", "selector", "source_result", "type", "version")
    HIDDEN = "source_result"

    def __init__(
        self,
        type: str,  # noqa: A002 - AWS's name for it
        version: int,
        *,
        data_type: str | None = None,
        selector: str | None = None,
        source_result: str | None = None,
        has_value: bool = True,
    ) -> None:
        self.type: Final = type
        self.version: Final = version
        self.data_type: Final = data_type
        self.selector: Final = selector
        self.source_result: Final = source_result
        self.has_value: Final = has_value

    @property
    def is_encrypted(self) -> bool:
        """Whether it is stored encrypted: without decryption its value is another one."""
        return self.type == "SecureString"


class Secret(Confidential):
    """
    One version of a secret or a parameter, or a path with its members, as AWS gave it.

    Attributes:
        arn: The full ARN; a secret's includes the six characters that AWS appends. Empty for a path.
        name: The friendly name.
        version_id: The unique id of this version; a parameter's version number as text.
        created_at: When AWS created this version, in seconds since the epoch; None if AWS gave no time.
        value: The stored bytes: SecretString or a parameter's value as UTF-8, or SecretBinary. For a path, a JSON
            object of its members' values.
        is_text: Whether the value came as text.
        stages: The staging labels of this version.
        parameter: What Parameter Store says of a parameter; None for a secret and for a path.
        members: The parameters below a path, by full name; None for anything but a path.
    """

    __slots__ = ("arn", "created_at", "is_text", "members", "name", "parameter", "stages", "value", "version_id")
    HIDDEN = "value"

    def __init__(  # noqa: PLR0913 - its fields
        self,
        *,
        arn: str,
        name: str,
        version_id: str,
        created_at: float | None,
        value: bytes,
        is_text: bool,
        stages: tuple[str, ...] = (),
        parameter: ParameterFacts | None = None,
        members: "Mapping[str, Secret] | None" = None,
    ) -> None:
        self.arn: Final = arn
        self.name: Final = name
        self.version_id: Final = version_id
        self.created_at: Final = created_at
        self.value: Final = value
        self.is_text: Final = is_text
        self.stages: Final = stages
        self.parameter: Final = parameter
        self.members: Final = members

    @property
    def has_value(self) -> bool:
        """Whether there is a value; if not, `value` is empty."""
        return self.parameter is None or self.parameter.has_value

    def has_id(self, secret_id: str) -> bool:
        """Return whether AWS gave this ARN or this name."""
        return secret_id in (self.arn, self.name)
