"""The process that Lambda starts: start, lifecycle, the Extensions API, the fallback."""
