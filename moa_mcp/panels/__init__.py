"""Panels: which living models can serve a tier."""
