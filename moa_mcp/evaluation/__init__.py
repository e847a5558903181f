"""Evaluations: pipelines and single models answer the same questions; what they score, gain and cost, with intervals.

The way of the data: questions -> runs (execution) -> answers -> scores (scoring, duels) -> analysis (statistics) ->
a result, which the reports show and the advice reads. An evaluation knows no terminal.

It needs the extra ``eval``. Nothing else imports this package before a user asks for an evaluation.
"""
