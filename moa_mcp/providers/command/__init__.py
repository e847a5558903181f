"""The provider for programs: one process for each call, with the prompt on its standard input."""
