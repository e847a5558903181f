"""Resolves model aliases to the endpoints that serve them: routes, credentials, prices and capabilities."""
