"""The OpenAI-compatible face of a server over HTTP: `/v1/models` and `/v1/chat/completions`. It knows no MCP.

A pipeline is a model, a request is a new run. Requests come from behind the guards of the server, as those of MCP do.
"""
