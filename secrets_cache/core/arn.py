"""
The names that AWS gives to everything it keeps, taken apart: Amazon Resource Names.

    arn:partition:service:region:account:resource

Rules
-----
1. What begins with "arn:" is an ARN: no name of a secret or a parameter can begin so, since it may hold no colon.
2. Nothing is checked here. A field that is missing is empty: the configuration says what a complete ARN is.

Format: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
"""

from typing import NamedTuple


class Arn(NamedTuple):
    """
    An ARN's fields. Each may be empty.

    Attributes:
        resource: Everything after the fifth colon, further colons included: `secret:prod/db-AbCdEf`,
            `parameter/prod/db`.
    """

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> "Arn | None":
        """Return the fields of `text`; None if it is not an ARN but a name."""
        if not text.startswith("arn:"):
            return None
        fields = text.split(":", 5)[1:]
        return cls(*fields, *[""] * (5 - len(fields)))

    def __str__(self) -> str:
        return ":".join(("arn", *self))

    @property
    def is_parameter(self) -> bool:
        """Whether Parameter Store keeps it."""
        return self.service == "ssm"

    @property
    def parameter_name(self) -> str:
        """The parameter's full name, with its leading slash; empty if this is not the ARN of a parameter."""
        is_name = self.is_parameter and self.resource.startswith("parameter")
        return self.resource.removeprefix("parameter") if is_name else ""


def find_region(secret_id: str, *, given: str = "", own: str = "") -> str:
    """
    Return the region in which a secret or a parameter is read; empty for the function's own.

    Args:
        secret_id: A name or an ARN.
        given: The region that the caller or the configuration gives; it counts before that of an ARN.
        own: The function's region.
    """
    arn = Arn.parse(secret_id)
    region = given or (arn.region if arn else "")
    return "" if region == own else region
