"""
Environment variables from secrets: which are wanted, from where, and what comes of them.

    env: and the environment -> rules -> sources (through the cache, or by a fetch of their own) -> assignments
                                    channel: the extension's end of what the wrapper asks; alone: without an extension

Rules
-----
1. What a rule asks for and what a value gives are pure: `rules`, `assignments`.
2. A value is never logged, nor is what it was made from; a key is.
"""
