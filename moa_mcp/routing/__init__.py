"""From a model's alias to the endpoints that serve it: routes, credentials, prices and capabilities."""
