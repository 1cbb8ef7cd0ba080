"""The data planes that use what the API server holds."""
