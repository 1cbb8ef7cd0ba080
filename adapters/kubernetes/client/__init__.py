"""The connection to an API server: credentials, lists, watches, rights. It knows nothing of routes."""
