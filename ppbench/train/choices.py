"""Choices of the training that load nothing: allowed values of settings, which ``--help`` shows, and a limit."""

from __future__ import annotations

from typing import Literal

OptimizerName = Literal["sgd", "adamw"]

ScheduleName = Literal["one-cycle", "cosine", "constant"]

PrecisionName = Literal["fp32", "bf16", "fp16"]

LARGEST_SMALL_SIZE = 64
"""Largest side, in pixels, at which augmentations are as for CIFAR-10; larger images get the settings for ImageNet.

This concerns AutoAugment's policy, the severity of "augmix-strict" and the settings of PRIME. The limit is our choice.
"""
