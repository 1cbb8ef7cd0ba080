"""The connection to a host: keys, privileges, files, commands, sockets. It knows nothing of routes."""
