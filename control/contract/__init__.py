"""The JSON shapes of the command line, and their schemas."""
