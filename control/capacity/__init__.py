"""What callers really get from configured limits."""
