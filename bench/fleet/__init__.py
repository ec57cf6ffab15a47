"""A fleet of execution environments in simulated time: `python -m bench.fleet`. See docs/scale.md."""
