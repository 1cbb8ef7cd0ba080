"""AWS Lambda: alias weights and reserved concurrency."""
