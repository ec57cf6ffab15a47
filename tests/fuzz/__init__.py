"""
Fuzz targets: each takes any bytes, and raises AssertionError if what is made of them breaks a rule.

Rules
-----
1. A target is a pure function of its bytes: no socket, no file, no clock, no chance. Its docstring states the rule.
2. What it tries is an argument, so that a test can hand in something broken and see the target fail.
3. What is right is said independently of the code that is tried: by another parser, or by a model of a few lines.
4. A target knows nothing of who calls it: `make fuzz` guides it by coverage (guided.py), test_fuzz.py replays the
   corpus and mutates it.
"""
