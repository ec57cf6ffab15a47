"""
`make layer`: the Lambda layer, as a zip that is the same for the same inputs, byte for byte.

    interpreter + locked wheels + package -> tree (what is needed, compiled) -> zip -> checks (ELF, a run, sizes)

Rules
-----
1. Nothing under /opt/python: that is on the function's own import path. All files are under /opt/secrets-cache.
2. What the tree is made of is locked: wheels by hash, the interpreter by its version. uv checks the sum of what it
   downloads; what is in its folder already is trusted.
3. What cannot run where it is meant to run is refused, not shipped. The build ends by running what it built.
4. What runs on the build machine only (its strip, its zlib) does not decide what the bytes are.
"""
