"""The execution of an evaluation: its runs with their IDs, budget and records, and the scores of their answers.

It yields outcomes and verdicts; what they show is the task of the analysis.
"""
