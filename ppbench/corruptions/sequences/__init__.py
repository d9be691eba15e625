"""Perturbation sequences: an image that changes a little from frame to frame, as in ImageNet-P.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
2019, section 4.3.
"""
