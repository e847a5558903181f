"""Predicts what a run does: the plan, the estimate, and whether its prompts fit the context windows."""
