"""From outcomes and verdicts to what they show: standings, comparisons, duels, the gate and notes.

It chooses what is compared with what, and counts; `statistics` has the methods.
"""

from moa_mcp.evaluation.analysis.whole import analysed

__all__ = ["analysed"]
