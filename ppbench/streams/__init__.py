"""Streams of continually changing corruptions, for networks that adapt while they are tested.

Source: Press et al., "RDumb: A simple approach that questions our progress in continual test-time adaptation", NeurIPS
2023 (CCC). docs/streams.md says what is theirs and what is ppbench's own.
"""
