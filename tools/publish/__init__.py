"""
`make publish`: the layer's zips as layer versions in regions of AWS, and the page with their ARNs.

    zips, built or downloaded + regions -> checks -> for each region: look, publish, share -> report, docs/layer-arns.md

Rules
-----
1. What can be checked without AWS is checked before anything is published.
2. What is there already with the same sum is not published again, and sharing is checked by itself: the same command
   goes on where the last run stopped.
3. A region that fails stops no other. What was published and not shared is said.
4. The page shows a region when all that was asked for it was done; a region that failed keeps the row that it had.
"""


class PublishError(Exception):
    """Nothing can be published; the text says why, where, and what to do."""
