"""Two models on the same images: what differs, and what these images can show (docs/compare.md). Free of torch."""
