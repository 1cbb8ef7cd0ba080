"""Hosts over SSH with nginx and HAProxy: codecs, drivers and the transport."""
