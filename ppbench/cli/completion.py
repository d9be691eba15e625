"""Names that the shell completes in the values of options. Free of torch, since a shell asks at every press of Tab."""

from __future__ import annotations

from collections.abc import Iterable


def complete_model(incomplete: str) -> list[str]:
    """Embedded models, then the networks of ``ppbench list models``."""
    from ppbench.models.embedded import EMBEDDED_MODELS
    from ppbench.models.shapes import model_names

    return _beginning(incomplete, [*EMBEDDED_MODELS, *model_names()])


def complete_network(incomplete: str) -> list[str]:
    """Networks that can be trained."""
    from ppbench.models.shapes import model_names

    return _beginning(incomplete, model_names())


def complete_dataset(incomplete: str) -> list[str]:
    """Datasets to evaluate on."""
    from ppbench.data.catalog import DATASETS

    return _beginning(incomplete, DATASETS)


def complete_corruption(incomplete: str) -> list[str]:
    """Corruptions and perturbations, with their sets and families."""
    from ppbench.vocabulary import ALL_FAMILIES, KNOWN, P4, P10, P_SETS, SETS, in_order

    geometry = [name for name in in_order((*P10, *P4)) if name not in KNOWN]
    return _beginning(incomplete, [*KNOWN, *geometry, *SETS, *ALL_FAMILIES, *P_SETS])


def complete_perturbation(incomplete: str) -> list[str]:
    """Perturbations of sequences, with their sets."""
    from ppbench.vocabulary import P4, P10, P_SETS

    return _beginning(incomplete, [*P10, *P4, *P_SETS])


def complete_recipe(incomplete: str) -> list[str]:
    """Recipes of corruptions, then of perturbation sequences."""
    from ppbench.corruptions.recipes import KNOWN_RECIPES
    from ppbench.corruptions.sequences.recipes import SEQUENCE_RECIPES

    return _beginning(incomplete, [*KNOWN_RECIPES, *SEQUENCE_RECIPES])


def complete_training_recipe(incomplete: str) -> list[str]:
    """Recipes of training."""
    from ppbench.train.recipe import recipe_names

    return _beginning(incomplete, recipe_names())


def complete_metric(incomplete: str) -> list[str]:
    """Metrics that an evaluation may wait for."""
    from ppbench.metrics.quantities import metrics_over_cells

    return _beginning(incomplete, [quantity.name for quantity in metrics_over_cells()])


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
