"""Maps the messages and codes of a provider's error to one of our errors."""
