"""What the demo prints: titles, figures, colours on a terminal."""

import os
import sys

BOLD, GREEN, YELLOW = "1", "32", "33"
NEXT = """
What next:
  make layer                                        build the layer for your functions
  ./deploy.sh --grant config.yaml my-function       put it on one, with the permission to read what config.yaml lists
  .venv/bin/secrets-cache serve --from-file example_function/values.yaml
                                                    the same server outside Lambda, with values of your own
README.md has the code that you put into your function; docs/README.md lists everything else."""


def title(text: str) -> None:
    """Print the title of a step."""
    print(f"\n{paint(text, BOLD)}", flush=True)


def row(name: str, value: str) -> None:
    """Print a figure and what it is."""
    print(f"  {name:<50} {value:>8}")


def paint(text: str, colour: str) -> str:
    """Return a text in a colour, if this is a terminal that wants colours."""
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[{colour}m{text}\033[0m" if is_coloured else text
