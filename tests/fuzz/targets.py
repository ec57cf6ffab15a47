"""All targets by name: the name is also that of the folder of its corpus."""

from collections.abc import Callable, Mapping

from tests.fuzz.answers import answers
from tests.fuzz.aws_request import aws_request
from tests.fuzz.config import config
from tests.fuzz.conversation import conversation
from tests.fuzz.environment import environment
from tests.fuzz.platform import platform
from tests.fuzz.request import request
from tests.fuzz.selection import selection
from tests.fuzz.variables import variables

TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "answers": answers,
    "aws_request": aws_request,
    "config": config,
    "conversation": conversation,
    "environment": environment,
    "platform": platform,
    "request": request,
    "selection": selection,
    "variables": variables,
}
