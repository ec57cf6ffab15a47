"""
`make release`: everything that a release holds, in dist/.

    version, changelog, tag and tree agree -> two layers, wheel and sdist -> bills of materials, notes, deploy.sh, sums

Rules
-----
1. Everything is checked before anything is built: what a release says of itself is what it was made of.
2. The same commit gives the same bytes, on every machine. SHA256SUMS lists every file of a release.
3. Nothing is published here.
"""
