"""The entry point of an evaluation for Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ppbench.data.own_images import ImagesGiven
from ppbench.errors import UsageError
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.predictions import measure_predictions
from ppbench.evaluation.request import EvalRequest
from ppbench.files import check_writable
from ppbench.models.card import Card
from ppbench.models.from_callable import as_network
from ppbench.models.load import LoadedModel
from ppbench.models.loaded import Checkpoint
from ppbench.run import Run


def evaluate(
    model: str | Checkpoint | nn.Module | Callable[[NDArray[np.float32]], Any] | None = None,
    dataset: Any = None,
    labels: Any = None,
    *,
    ids: Sequence[str] | None = None,
    label_names: Sequence[str] | None = None,
    predictions: str | Path | None = None,
    card: Card | None = None,
    data: str | Path | None = None,
    clean: str | Path | None = None,
    corruptions: str | Sequence[str] | None = None,
    severities: str | int | Sequence[str | int] | None = None,
    recipe: str | None = None,
    backend: str = "ppbench",
    jpeg: bool = True,
    seed: int = 0,
    limit: int | None = None,
    classes: str | Path | None = None,
    logits: str | None = None,
    preset: str | None = None,
    mean: str | Sequence[float] | None = None,
    std: str | Sequence[float] | None = None,
    input_size: int | None = None,
    test_size: bool = False,
    architecture: str | None = None,
    ema: bool = False,
    class_names: str | Path | Sequence[str] | None = None,
    templates: str | Path | Sequence[str] | None = None,
    trust_remote_code: bool = False,
    resize: int | None = None,
    exif: bool = False,
    adapt: str | None = None,
    stream: str | None = None,
    calibration: str | Path | None = None,
    passes: int | None = None,
    precision: str = "fp32",
    compiled: bool = False,
    device: str = "auto",
    batch_size: int | None = None,
    workers: int | None = 0,
    decode: str = "pillow",
    profile: str | Path | None = None,
    force: bool = False,
    until: float | None = None,
    until_metric: str | None = None,
    until_decided: str | Path | None = None,
    max_drop: float | None = None,
    output: str | Path | None = None,
    weights_files: str | Path | Sequence[str | Path] = (),
    skip_unreadable: bool = False,
    fresh: bool = False,
    overwrite: bool = False,
    keep_predictions: bool = True,
) -> Run:
    """Measure one model on one dataset.

    Args:
        model: What ``ppbench eval --model`` takes, the result of `load_checkpoint`, a module, or a function that maps
            a numpy array ``(N, C, H, W)``, float32, normalised as the card says, to logits ``(N, classes)`` and does
            not change the array.
        dataset: One of ``ppbench list datasets``, ``hf:ORG/NAME`` or ``pkg.mod:factory``; or images: uint8 of numpy or
            torch, ``(N, H, W, C)``, ``(N, C, H, W)`` or ``(N, H, W)``; a list of Pillow's images; or a map-style
            Dataset of pairs (image, label). Images of any size are cut as the model's card says. None: "imagefolder" if
            ``data`` is given, else the embedded images.
        labels: Labels of images given as ``dataset``, ``(N,)``: numbers of classes from 0, or their names. A Dataset
            has its own. For any images "predicted": the label of each is the model's own prediction of it without
            corruption. For a folder in ``data`` the path of a CSV of ``path,label``.
        ids: One text for each of these images, by which the draws of its corruptions are keyed; None: a Dataset's
            files, or hashes of the pixels.
        label_names: Names of the classes that labels 0, 1, … stand for, by which they are matched with the model's;
            None: a Dataset's own, or those of the model's outputs.
        predictions: An .npz file of logits or predicted classes per cell, instead of a model.
        card: How to use ``model``, if it is a module or a function.
        data: Folder of the dataset; not needed for the embedded one.
        clean: Clean images for a published set that has none, such as CIFAR-10-C: CIFAR-10's folder, or an .npy file
            with all images in the order of the set.
        corruptions: Names, families ("noise") and sets ("c15"), and your own functions as "pkg.mod:function"; for a
            dataset of perturbation sequences ("imagenet-p"), perturbations. None: the dataset's own.
        severities: 1 to 5, or ranges ("1-3"); of sequences the difficulty, 1 to 3. None: 1 to 5, or difficulty 1.
        recipe: One of ``ppbench list recipes``; None: the one that suits the images' size.
        backend: What makes corrupted images: "ppbench", or "imagecorruptions" for the package of that name.
        jpeg: Whether images made for ImageNet-C and Tiny-ImageNet-C go through JPEG as the published ones did.
        seed: Key of the corruptions' draws and of ``limit``.
        limit: Number of images, with equal shares of all classes; None for all.
        classes: File with the names of the classes to use, one a line; None: all.
        logits: "masked" or "all", if the model has more classes than the images; None: "masked".
        preset: Usual preprocessing by name, such as "imagenet", if ``model`` is a name or a file.
        mean: Mean of each channel, for images in [0, 1]. It overrides the preset, as ``std`` and ``input_size`` do.
        std: Standard deviation of each channel.
        input_size: Side in pixels of the images that go into the network.
        test_size: Whether a network of timm's gets images of the size that timm validates it with.
        architecture: Network of a file that is a bare state dict.
        ema: Whether to take the weights averaged over the training, from a file that has both.
        class_names: Classes of a zero-shot model (``clip:NAME``): a file with one a line, or the lines; a line is the
            text, or the folder's name, a tab and the text. None: the classes of the images.
        templates: Prompts of a zero-shot model, with ``{}`` for the class: a file with one a line, or the lines.
            None: "a photo of a {}."
        trust_remote_code: Whether Python code of a repository (``hf:ORG/NAME``) may be run. The run says so.
        resize: Side in pixels to which images are resized before they are cut to the model's size; None: not at all.
        exif: Whether photographs are turned upright by their EXIF data, and converted to sRGB by their colour profiles.
        adapt: "batchnorm" estimates the statistics of the network's batch norms again for each cell, from the cell's
            images without their labels (the clean cell too); "batchnorm:16" mixes them with the network's own, which
            then count as 16 images; None: the network is used as it is.
        stream: "ccc", "ccc:easy", "ccc:medium" or "ccc:hard": a stream of continually changing corruptions in place of
            cells, with 1000 frames at each point, or as many as "ccc:hard:2000" says (docs/streams.md). ``limit`` is
            the number of frames, ``seed`` the stream's. With ``adapt``, each batch of consecutive frames is adapted.
        calibration: The CSV of accuracies by which the stream keeps its level.
        passes: Passes over each image of a network that draws random numbers, 1 to 255. The draws are keyed by seed,
            pass and image, and errors are means over the passes; None: one pass, with whatever the network draws.
        precision: "fp32", "tf32", "bf16" or "fp16", of the network. Runs of different ones are not compared.
        compiled: Whether the network goes through ``torch.compile``; on a GPU it is then replayed as a CUDA graph, and
            the corruptions are compiled too, as they are without it where there are many images. The run says so.
        device: "auto", "cpu", "cuda", "cuda:1".
        batch_size: Images per forward pass; None: by size.
        workers: Processes that read images; a script that uses them needs ``if __name__ == "__main__"``.
            None: as many as keep up with the network.
        decode: "cuda" lets the GPU decode JPEG files in class folders, by nvJPEG. Its pixels are not those of Pillow's
            libjpeg: the run says so, and is compared with such runs alone.
        profile: File for a trace of some batches, in Chrome's format: what this machine and its GPU do, and when. It
            changes no result.
        force: Whether to continue although the accuracy is under twice chance.
        until: Half-width in points: stop once the 95 % interval of the metric is that narrow.
        until_metric: "mCE", "relative_mCE" or "mean_error", for ``until`` and ``until_decided``; None: the dataset's.
        until_decided: Run file: stop once it is decided whether the model's error exceeds that run's by more than
            ``max_drop``.
        max_drop: Increase in points that ``until_decided`` tolerates; None: 0.
        output: Run file to write, with the results image by image beside it. If an earlier call for the same
            measurement was interrupted, what it had finished is used again.
        weights_files: Files that decide the outputs of a network of your own code beside the tensors that torch knows,
            such as the ``.onnx`` file of a session that a module holds. They are part of the weights' hash.
        skip_unreadable: Whether unreadable images, at most half of all, are not an error. They are left out of every
            cell, and ``run.protocol.unreadable`` names them.
        fresh: Whether to start over instead of using what an interrupted evaluation had finished.
        overwrite: Whether ``output`` may be the finished run of another model, or of other images.
        keep_predictions: Whether the class that comes first is kept beside the run file for each image and cell, with
            its probability.

    Returns:
        The run, complete.

    Raises:
        UsageError: If a name or value is not allowed.
        DataError: If weights or images are missing, damaged or do not fit.
        KeyboardInterrupt: On Ctrl-C. As after any error, what is finished is kept in ``output``.
    """
    # `locals` holds the arguments and nothing else yet. All but these are fields of a request.
    given = {name: value for name, value in locals().items() if name not in _NO_FIELDS}
    if isinstance(labels, str | Path):
        given["labels"], labels = str(labels), None
    given["dataset"] = _dataset(dataset, labels, ids, label_names)
    # Before models and images are opened, which may take minutes.
    if output is not None:
        check_writable(Path(output))
    if predictions is not None:
        if model is not None:
            raise UsageError("model and predictions are given", "Evaluate them one after the other.")
        return measure_predictions(Path(predictions), EvalRequest.of(**given))[0].run
    result = measure(prepare(EvalRequest.of(models=[_loaded(model, card)], **given)))
    if result.stopped_by is not None:
        raise result.stopped_by
    result.refuse_unreadable(skip=skip_unreadable)
    return result.runs[0].run


_NO_FIELDS = ("model", "card", "predictions", "dataset", "labels", "ids", "label_names")


def _dataset(dataset: Any, labels: Any, ids: Any, label_names: Any) -> str | ImagesGiven | None:
    """A name, or images."""
    if isinstance(dataset, Path):
        raise UsageError(
            f"dataset is the path {dataset}",
            f"Give the folder as data: `evaluate(…, 'imagefolder', data='{dataset}')`.",
        )
    if dataset is not None and not isinstance(dataset, str):
        return ImagesGiven.of(dataset, labels, ids, label_names)
    for name, value in (("labels", labels), ("ids", ids), ("label_names", label_names)):
        if value is not None:
            raise UsageError(f"{name} are given, and the dataset {dataset!r} has its own", f"Leave {name} out.")
    return dataset


_WITH_CARD = (
    "`evaluate(model, card=ppbench.Card(architecture='mine', num_classes=1000, input_size=224, resize=256, "
    "mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)))`"
)


def _loaded(model: object, card: Card | None) -> str | LoadedModel:
    """What `prepare` takes."""
    if card is not None and not isinstance(card, Card):
        raise UsageError(f"card is {card!r}, of type {type(card).__name__}; it must be a ppbench.Card", _WITH_CARD)
    if isinstance(model, Checkpoint):
        return LoadedModel(model.card.architecture, *model)
    if isinstance(model, str):
        return model
    network = as_network(model, getattr(model, "__name__", type(model).__name__))
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"model is of type {type(model).__name__}",
            "Give a name as of `ppbench eval --model`, what `ppbench.load_checkpoint` returns, a torch module, or a "
            "function from images to logits.",
        )
    if card is None:
        raise UsageError(f"a {'module' if network is model else 'function'} needs its card", _WITH_CARD)
    return LoadedModel(card.architecture, network, card)
