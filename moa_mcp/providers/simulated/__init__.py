"""Simulated models: no network, no keys, no cost."""
