"""Tests of perturbation sequences."""
