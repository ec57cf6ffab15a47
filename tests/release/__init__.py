"""The layer, the release, and what puts them into an account."""
