"""The cache: which values it has, how old they are, when to ask again. No I/O, no framework, no clock of its own."""
