"""Whether a model has become worse than a committed baseline (docs/ci.md). Free of torch."""
