"""Pipelines as MCP tools. Only this package imports mcp."""
