"""The pages, held to the code."""
