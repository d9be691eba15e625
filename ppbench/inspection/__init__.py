"""Inspect a network's first layer: kernels, spectra, responses to images, selectivity for stimuli."""
