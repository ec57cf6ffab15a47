"""The benchmarks and the mutations, held to what they claim."""
