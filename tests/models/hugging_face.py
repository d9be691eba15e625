"""Small networks of transformers and open_clip with random weights, saved as these libraries save theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
"""A configuration of open_clip; the vocabulary is that of its tokenizer."""


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth picture with some noise, as photographs are, so that resizing filters agree within rounding."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noise = rng.normal(0, 4, (height, width, 3))
    return Image.fromarray((np.asarray(coarse) + noise).clip(0, 255).astype(np.uint8))


def save_resnet(folder: Path, transformers: Any, **config: Any) -> Any:
    """Save a ResNet for images of 32 px, whose image processor resizes to 36 and crops, and return it."""
    settings: dict[str, Any] = {"hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic", "embedding_size": 8}
    settings.update({"num_labels": 3} | config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = transformers.ResNetForImageClassification(transformers.ResNetConfig(**settings))
    network.save_pretrained(folder)
    transformers.ConvNextImageProcessor(
        size={"shortest_edge": 32}, crop_pct=32 / 36, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.25, 0.3]
    ).save_pretrained(folder)
    return network.eval()


def save_vit(folder: Path, transformers: Any) -> Any:
    """Save a ViT for images of 32 px, whose image processor squashes, and return it."""
    settings = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.ViTConfig(**settings, image_size=32, patch_size=8, num_labels=3)
        network = transformers.ViTForImageClassification(config)
    network.save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}, resample=3).save_pretrained(folder)
    return network.eval()


def save_zero_shot(folder: Path, transformers: Any, kind: str) -> Any:
    """Save a CLIP or SigLIP of transformers for images of 32 px, with a tokenizer of letters, and return it."""
    body = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    letters = [*map(chr, range(ord("a"), ord("z") + 1)), ".", ","]
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    text = body | {"vocab_size": len(vocabulary), "max_position_embeddings": 64, "projection_dim": 16}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vision = body | {"image_size": 32, "patch_size": 8, "projection_dim": 16}
    config, network = {
        "clip": (transformers.CLIPConfig, transformers.CLIPModel),
        "siglip": (transformers.SiglipConfig, transformers.SiglipModel),
    }[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = network(config(text_config=text, vision_config=vision, projection_dim=16))
        model.logit_scale.data += 0.5
    model.save_pretrained(folder)
    size = {"shortest_edge": 32} if kind == "clip" else {"height": 32, "width": 32}
    transformers.CLIPImageProcessor(
        size=size, crop_size={"height": 32, "width": 32}, do_center_crop=kind == "clip"
    ).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({name: place for place, name in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    return model.eval()


def save_clip(folder: Path, open_clip: Any) -> Any:
    """Save a CLIP for images of 32 px as a folder of open_clip, and return it."""
    import safetensors.torch

    folder.mkdir(parents=True, exist_ok=True)
    preprocessing = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic"}
    config = {"model_cfg": CLIP, "preprocess_cfg": preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = open_clip.CLIP(**json.loads(json.dumps(CLIP)))
        network.logit_scale.data += 0.5
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    safetensors.torch.save_file(state, folder / "open_clip_model.safetensors")
    return network.eval()
