"""The provider for OpenAI-compatible APIs, over HTTP."""
