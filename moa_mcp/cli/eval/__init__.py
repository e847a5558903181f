"""``moa-mcp eval``: an evaluation of pipelines and models on the user's questions."""
