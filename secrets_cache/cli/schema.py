"""`secrets-cache schema`: the JSON Schema of config.yaml, for editors."""

import argparse
import json
import sys

from secrets_cache.config.json_schema import make_json_schema


def run(_: argparse.Namespace) -> int:
    """Print the schema."""
    sys.stdout.write(json.dumps(make_json_schema(), indent=2) + "\n")
    return 0
