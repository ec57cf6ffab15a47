"""The benchmarks: what docs/benchmarks.md describes, each beside what it is compared with, in one run."""
