"""Judges of answers: their prompts, and how they are asked. A judge is a pipeline, such as one call of a model."""
