"""Helpers of the build, the demo and the tests. Nothing here is shipped."""
