"""Caps on cost and tokens: the worst case of a run, and the confirmation of its cost."""
