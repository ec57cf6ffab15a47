"""The tests: a file for each module, real parts wherever there are any."""
