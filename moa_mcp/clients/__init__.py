"""MCP clients: where each keeps its list of servers, and how an entry is added and removed without other changes.

It knows no terminal and writes no file.
"""
