"""What a network's first layer does: kernels, spectra, responses to images, selectivity for stimuli."""
