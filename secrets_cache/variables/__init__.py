"""
Environment variables from secrets: which ones to set, from where, and to what.

    env: and the environment -> rules -> reader (through the cache, or by its own fetch) -> assignments

    wrapper_server   answers the wrapper from the extension, over `wrapper_protocol`
    standalone       does the same in the wrapper's own process, where no extension answers

Rules
-----
1. Reading rules and making variables of values are pure: `rules`, `assignments`.
2. The log shows keys and names of variables, never a value.
"""
