"""What the log may say in a soak, whatever happens."""

import json

from tests.support.fakes import CANARY

# All events are in docs/operations.md; of the others, each would be a fault of ours, or of the soak's.
EVENTS = {
    "engine.loaded",
    "extension.ready",
    "secret.refreshed",
    "secret.fetch_failed",
    "batch.refused",
    "extension.stopped",
}
# One line when the init ends, one at the end, one for the batch.
LINES_BESIDES_CALLS = 3


def wrong_in_log(text: str, calls: int) -> list[str]:
    """Return what is wrong with a log, of a process that has asked AWS so many times."""
    found, lines = [], text.splitlines()
    if CANARY in text:
        found.append("the log has a value")
    for line in lines:
        try:
            event = json.loads(line)["event"]
        except (ValueError, KeyError, TypeError):
            found.append(f"a line of the log is not ours: {line.replace(CANARY, '...')[:200]}")
            continue
        if event not in EVENTS:
            found.append(f"the log has {event}: {line.replace(CANARY, '...')[:300]}")
    if len(lines) > calls + LINES_BESIDES_CALLS:
        found.append(f"the log has {len(lines)} lines for {calls} calls")
    return found
