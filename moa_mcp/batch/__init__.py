"""Batches: one question after another from a file, each with a run of its own, and a line for each in the output.

A batch needs no state besides the journal: the IDs of its runs follow from its items, so that a second start finds what
the first one paid for. It knows no terminal; the command line shows it.
"""
