"""Where calls are answered. A provider is a model: one callable. Each keeps its third party to itself."""
