"""Which scenarios are simulated, each under its key. All of them take about eight minutes on one core."""

from bench.fleet.aws import Outage
from bench.fleet.scenarios import Design, Scenario, Start

HOUR = 3600.0
OUTAGE = Outage(900, 1500)
LARGE, SMALL = 50_000, 1_000
OF_PARAMETERS = (Design.PARAMETERS, Design.PATH, Design.PLAIN_PARAMETERS, Design.PARAMETERS_HIGHER)
COMPARED = (Design.DEFAULTS, Design.NO_JITTER, Design.PLAIN)


def plan() -> dict[str, Scenario]:
    """Return every scenario by its key."""
    scenarios = [
        # The whole fleet, without a reduction, for comparison with a part of it: until the first refresh has ended.
        Scenario(LARGE, 1, Design.DEFAULTS, Start.TOGETHER, seconds=620),
        *(Scenario(1, secrets, design, Start.STEADY, seconds=24 * HOUR) for secrets in (5, 25) for design in COMPARED),
        *(Scenario(SMALL, 5, design, start) for start in (Start.TOGETHER, Start.STEADY) for design in COMPARED),
        *(Scenario(SMALL, 25, design, Start.TOGETHER, seconds=620) for design in (*COMPARED, Design.NO_BATCH)),
        *(Scenario(LARGE, 5, design, start, part=25) for start in Start for design in COMPARED),
        *(_of_25(design, start) for start in Start for design in COMPARED),
        _of_25(Design.NO_BATCH, Start.SCALE_OUT),
        *(Scenario(LARGE, 1, design, Start.TOGETHER, part=25, seconds=620) for design in COMPARED),
        *(Scenario(LARGE, 5, design, Start.STEADY, part=25, per_second=1 / 60) for design in COMPARED),
        Scenario(LARGE, 5, Design.DEFAULTS, Start.STEADY, ttl=HOUR, part=50, seconds=2 * HOUR),
        *(Scenario(LARGE, 5, design, Start.STEADY, part=100, seconds=2400, outage=OUTAGE) for design in COMPARED),
        *_of_parameters(),
    ]
    return {key_of(scenario): scenario for scenario in scenarios}


def _of_25(design: Design, start: Start) -> Scenario:
    return Scenario(LARGE, 25, design, start, part=100, seconds=1200)


def _of_parameters() -> list[Scenario]:
    return [
        *(Scenario(SMALL, 10, design, start) for start in (Start.TOGETHER, Start.STEADY) for design in OF_PARAMETERS),
        Scenario(400, 10, Design.PARAMETERS, Start.TOGETHER),
        *(Scenario(SMALL, 25, design, Start.TOGETHER) for design in (Design.PARAMETERS, Design.PATH)),
        *(Scenario(count, 10, Design.PARAMETERS, Start.STEADY) for count in (10_000, 20_000)),
        Scenario(10_000, 10, Design.PARAMETERS, Start.TOGETHER, part=5),
        Scenario(LARGE, 10, Design.PARAMETERS_HIGHER, Start.SCALE_OUT, part=50, seconds=620),
    ]


def quick() -> dict[str, Scenario]:
    """Return a few that take a second together, to see that it works."""
    scenarios = [Scenario(1, 5, design, Start.STEADY, seconds=2 * HOUR) for design in COMPARED]
    scenarios += [Scenario(LARGE, 5, design, Start.TOGETHER, part=1000, seconds=700) for design in COMPARED]
    return {key_of(scenario): scenario for scenario in scenarios}


def key_of(scenario: Scenario) -> str:
    """Return what tells a scenario from the others, in words."""
    parts = [f"{scenario.environments}", f"{scenario.secrets} a piece", scenario.start.value, scenario.design.value]
    if scenario.ttl != Scenario._field_defaults["ttl"]:
        parts.append(f"ttl {scenario.ttl:.0f} s")
    if scenario.per_second < 1:
        parts.append("idle")
    if scenario.outage is not None:
        parts.append("outage")
    if scenario.environments > 1 and scenario.part == 1 and scenario.environments == LARGE:
        parts.append("whole")
    return ", ".join(parts)
