"""The cache: what is held, how old it is, when to ask again. No I/O, no framework, no clock of its own."""
