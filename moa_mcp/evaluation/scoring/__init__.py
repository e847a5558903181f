"""Scoring: how right an answer is. A folder for each way: by comparison, by a function of the user, by a judge."""
