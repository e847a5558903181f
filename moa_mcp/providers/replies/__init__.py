"""Reads the JSON of a reply into a completion, for both transports."""
