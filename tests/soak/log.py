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
# What callers name and there is not: once for each name, or for each secret and code.
REFUSALS = {"secret.not_configured", "request.refused"}
# One line when the init ends, one at the end, one for the batch.
LINES_BESIDES_CALLS = 3


def wrong_in_log(text: str, calls: int) -> list[str]:
    """Return what is wrong with a log, of a process that has asked AWS so many times."""
    found, lines, refusals = [], text.splitlines(), set()
    if CANARY in text:
        found.append("the log has a value")
    for line in lines:
        try:
            fields = json.loads(line)
            event = fields["event"]
        except (ValueError, KeyError, TypeError):
            found.append(f"a line of the log is not ours: {line.replace(CANARY, '...')[:200]}")
            continue
        if event in REFUSALS:
            refusal = (event, fields.get("secret"), fields.get("code"))
            if refusal in refusals:
                found.append(f"the log has {event} twice for {refusal[1]}")
            refusals.add(refusal)
        elif event not in EVENTS:
            found.append(f"the log has {event}: {line.replace(CANARY, '...')[:300]}")
    if len(lines) > calls + len(refusals) + LINES_BESIDES_CALLS:
        found.append(f"the log has {len(lines)} lines for {calls} calls")
    return found
