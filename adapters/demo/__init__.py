"""The demo fleet: real native objects on the platforms' memory transports, and traffic that follows them."""
