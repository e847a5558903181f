"""Advice: what to change, from evaluations and recorded runs, without a call to any model.

The way of the data: evaluations -> panels, traces -> recorded facts; both -> findings and checks; checks -> one
correction for all of them -> recommendations. It knows no terminal and no files.
"""
