"""Everything that can fail, made to fail."""
