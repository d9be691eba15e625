"""PRIME: random filters, displacements and colour curves of maximum entropy, mixed in chains.

Source: Modas, Rade, Ortiz-Jiménez, Moosavi-Dezfooli and Frossard, "PRIME: A few primitives can boost robustness to
common corruptions", ECCV 2022; constants from the authors' configurations for CIFAR and ImageNet
(github amodas/PRIME-augmentations).
"""

from ppbench.train.prime.colour import ColourTransform as ColourTransform
from ppbench.train.prime.mixture import CIFAR as CIFAR
from ppbench.train.prime.mixture import IMAGENET as IMAGENET
from ppbench.train.prime.mixture import Prime as Prime
from ppbench.train.prime.mixture import PrimeSettings as PrimeSettings
from ppbench.train.prime.mixture import settings_for as settings_for
from ppbench.train.prime.spatial import SpatialTransform as SpatialTransform
from ppbench.train.prime.spectral import SpectralTransform as SpectralTransform
