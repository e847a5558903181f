"""Reads the verdict in a judge's reply. Pure, in linear time. An ambiguous reply has no verdict.

`objects` finds JSON-like objects, `values` reads their numbers, and `reading` decides which object counts. `analyses`
reads comparisons of answers; `grades` and `preferences` read what judges of an evaluation say, also in words (`prose`);
they are imported from their modules, since their regular expressions take a while to compile.
"""

from moa_mcp.verdicts.analyses import read_analysis
from moa_mcp.verdicts.reading import Asked, read_equivalence, read_ranking, read_vote

__all__ = ["Asked", "read_analysis", "read_equivalence", "read_ranking", "read_vote"]
