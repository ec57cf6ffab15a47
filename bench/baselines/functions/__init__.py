"""The functions of the cold invocations, as Lambda runs them."""
