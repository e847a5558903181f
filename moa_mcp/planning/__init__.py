"""What a pipeline will do: its plan, its estimate, and whether its prompts fit."""
