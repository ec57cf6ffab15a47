"""The benchmarks: what docs/benchmarks.md describes, each together with what it is compared with, in one run."""
