"""What a judge's reply says, where it can mean only one thing; pure, and in time that grows with the reply's length.

`objects` finds what looks like JSON, `values` tells which numbers stand there, and `reading` decides what counts.
"""

from moa_mcp.verdicts.reading import Asked, read_ranking, read_vote

__all__ = ["Asked", "read_ranking", "read_vote"]
