"""Functions for the tests, as Lambda runs them."""
