"""What the command line prints, saves and reads, and the schemas of it."""
