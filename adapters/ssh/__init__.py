"""Hosts over SSH: their proxies, one folder each, above a client that knows files, processes and sockets."""
