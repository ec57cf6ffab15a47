"""
`secrets-cache run`: sets the variables as the exec wrapper does in Lambda, and becomes a command.

    environment -> rules and values -> execve

Values go from AWS to `execve`: through no shell, no file, no argument and no log.
"""

import argparse
import os

from secrets_cache.cli.inputs import cannot_be_read, find_unread_file, read_existing_configuration
from secrets_cache.cli.log_lines import log_in_words
from secrets_cache.cli.terminal import print_error
from secrets_cache.errors import VariablesFailed, add_advice
from secrets_cache.system.execution import execute, read_original_environ
from secrets_cache.system.files import ConfigFile


def run(given: argparse.Namespace) -> int:
    """Become the command; return 1 if that fails."""
    environ = read_original_environ()
    decoded = {os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()}
    file, config = read_existing_configuration(given, decoded)
    log_in_words("WARNING", print_error)
    for problem in config.problems:
        print_error(str(problem))
    if cannot_be_read(file, config):
        # As with a file that is missing: its variables would be.
        return 1
    # Slow to import.
    from secrets_cache.cli.file_source import open_file_source  # noqa: PLC0415
    from secrets_cache.variables.rules import make_rules  # noqa: PLC0415
    from secrets_cache.variables.standalone import resolve_configured  # noqa: PLC0415

    try:
        values = resolve_configured(config, decoded, open_file_source(given.from_file))
        if not make_rules(config.env, decoded):
            print_error(f"run: {_explain_nothing(file)}")
        merged = {name: value for name, value in {**environ, **values}.items() if value is not None}
        execute([os.fsencode(argument) for argument in given.arguments], merged)
    except VariablesFailed as error:
        print_error(str(error))
    return 1


def _explain_nothing(file: ConfigFile) -> str:
    where = file.path if file.exists else f"{file.path} (no such file)"
    sources = f"no `env:` in {where}, no SECRET_ARN, and no variable holds a reference such as secretsmanager://NAME"
    return add_advice(f"nothing to set: {sources}", "" if file.exists else find_unread_file())
