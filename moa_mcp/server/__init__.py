"""Pipelines as MCP tools. The only place that knows mcp; the transports are in `transports`."""
