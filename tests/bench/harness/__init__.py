"""The driver of the benchmark: what sections share."""
