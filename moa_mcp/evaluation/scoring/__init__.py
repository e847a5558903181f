"""Scoring: how right an answer is.

There is one module per way: `values` for what the vote step counts, `numbers`, `choices`, `json_values`, `functions`
for those of users, and `grading` for a judge. `choosing` finds the one that was asked for and checks the questions.
"""
