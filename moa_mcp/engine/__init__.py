"""Runs one pipeline for one question."""
