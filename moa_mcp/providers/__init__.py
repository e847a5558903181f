"""Providers answer calls. Each is a model (one async callable) and encapsulates one library."""
