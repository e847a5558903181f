"""Authentication of callers over HTTP: named tokens and OAuth access tokens, and the answers to everything else.

Knows nothing about runs. Behind it, the user of a request is a `CallerUser`.
"""
