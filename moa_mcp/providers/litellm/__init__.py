"""The provider for routes that go through litellm."""
