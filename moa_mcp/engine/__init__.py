"""Execution of one pipeline for one question."""
