"""The sections of the benchmark: one subject a file, each with NAME, TITLE and run(bench)."""
