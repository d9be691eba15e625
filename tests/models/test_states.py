"""State dicts as people have them: under keys of their own, wrapped, averaged, beside other things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from ppbench.cli.main import app
from ppbench.errors import DataError
from ppbench.models.card_options import CardOptions
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.resnet import create_model
from ppbench.models.states import choose_weights, without_wrappers
from ppbench.models.undrawn import WithoutDrawing
from ppbench.models.weights import weights_hash
from tests.models.test_checkpoint import trained

CIFAR = CardOptions(preset="cifar10")
EMA = CardOptions(preset="cifar10", ema=True)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return trained(create_model("resnet8", 10), 1)


@pytest.fixture(scope="module")
def average() -> nn.Module:
    return trained(create_model("resnet8", 10), 2)


def load(path: Path, content: Any, options: CardOptions = CIFAR) -> tuple[str, str | None]:
    """The hash of the network loaded from a file of ``content``, and what its card says of the weights."""
    torch.save(content, path / "w.pth")
    model, card = load_checkpoint(path / "w.pth", options=options)
    return weights_hash(model), card.weights


@pytest.mark.parametrize(
    "key",
    [
        "state_dict",
        "model_state_dict",
        "model",
        "net",
        "network",
        "params",
        "weights",
        "module",
        "model_state",
        "ema",
        "state_dict_ema",
        "model_ema",
        "something_of_ours",
        "state_dict.model",
        "model.state_dict",
    ],
)
def test_under_any_key(tmp_path: Path, network: nn.Module, key: str) -> None:
    content: Any = dict(network.state_dict())
    for part in reversed(key.split(".")):
        content = {"epoch": 3, part: content}
    optimizer = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
    content |= {"optimizer": optimizer, "optimizer_state_dict": {"exp_avg": torch.ones(2)}, "best": torch.tensor(0.9)}
    assert load(tmp_path, content) == (weights_hash(network), None)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "module.model.", "_orig_mod.module."]
)
def test_under_any_wrapper(tmp_path: Path, network: nn.Module, prefix: str) -> None:
    wrapped = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    beside = {"criterion.weight": torch.ones(10), "train_acc.total": torch.tensor(3)}
    assert load(tmp_path, {"state_dict": wrapped | beside}) == (weights_hash(network), None)
    safetensors.torch.save_file({k: v.contiguous() for k, v in wrapped.items()}, tmp_path / "w.safetensors")
    assert weights_hash(load_checkpoint(tmp_path / "w.safetensors", options=CIFAR).model) == weights_hash(network)


def test_lightning_files_of_other_people(tmp_path: Path, network: nn.Module) -> None:
    """Their hyper-parameters say nothing of the authors' networks."""
    state = {f"net.{name}": tensor for name, tensor in network.state_dict().items()}
    for settings in ({"lr": 0.1, "arch": "resnet"}, {"model": nn.Linear(1, 1)}, {}, {"model": "resnet8"}):
        content = {"state_dict": state, "hyper_parameters": settings, "pytorch-lightning_version": "2.0.6"}
        assert load(tmp_path, content) == (weights_hash(network), None)


def test_an_averaged_model(tmp_path: Path, network: nn.Module) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(network)
    assert "n_averaged" in averaged.state_dict()
    assert load(tmp_path, averaged.state_dict()) == (weights_hash(network), None)


@pytest.mark.parametrize(
    ("plain", "ema"),
    [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("net", "ema"), ("params", "params_ema"), ("x", "swa")],
)
@pytest.mark.parametrize("last", ["plain", "ema"])
def test_plain_and_averaged(
    tmp_path: Path, network: nn.Module, average: nn.Module, plain: str, ema: str, last: str
) -> None:
    content = {plain: network.state_dict(), ema: {f"module.{k}": v for k, v in average.state_dict().items()}}
    if last == "plain":
        content = dict(reversed(content.items()))
    assert load(tmp_path, content) == (weights_hash(network), f"{plain}, not {ema}")
    assert load(tmp_path, content, EMA) == (weights_hash(average), f"{ema}, not {plain}")


def test_plain_and_averaged_in_one_state_dict(tmp_path: Path, network: nn.Module, average: nn.Module) -> None:
    state = {f"model.{k}": v for k, v in network.state_dict().items()}
    state |= {f"ema_model.module.{k}": v for k, v in average.state_dict().items()} | {"step": torch.tensor(3)}
    assert load(tmp_path, state) == (weights_hash(network), "the network, not its averaged copy")
    assert load(tmp_path, state, EMA) == (weights_hash(average), "the averaged copy, not the network")


def test_an_averaged_model_in_the_module_that_trains(tmp_path: Path, network: nn.Module, average: nn.Module) -> None:
    """torch's AveragedModel counts its updates beside the network."""
    copy = torch.optim.swa_utils.AveragedModel(average).state_dict()
    state = {f"model.{k}": v for k, v in network.state_dict().items()} | {f"ema_model.{k}": v for k, v in copy.items()}
    assert "ema_model.n_averaged" in state
    assert load(tmp_path, {"state_dict": state}) == (weights_hash(network), "the network, not its averaged copy")
    assert load(tmp_path, {"state_dict": state}, EMA) == (weights_hash(average), "the averaged copy, not the network")


@pytest.mark.parametrize("names", ["ema: ", "model_ema: module.", "state_dict: ema_model.", ": ema."])
def test_averaged_weights_alone(tmp_path: Path, average: nn.Module, names: str) -> None:
    key, prefix = names.split(": ")
    state = {prefix + name: tensor for name, tensor in average.state_dict().items()}
    for options in (CIFAR, EMA):
        assert load(tmp_path, {key: state} if key else state, options) == (weights_hash(average), None)


def test_averaged_weights_that_are_not_there(tmp_path: Path, network: nn.Module) -> None:
    with pytest.raises(DataError, match=r"holds no averaged weights, as --ema requires; it has state_dict"):
        load(tmp_path, {"state_dict": network.state_dict()}, EMA)


def test_networks_of_the_library_robustness(tmp_path: Path) -> None:
    """The network, an attacker with the same network, and normalisers, whose mean and std the card takes."""
    network = trained(create_model("resnet18", 1000))
    state: dict[str, Tensor] = {}
    for place in ("module.model.", "module.attacker.model."):
        state |= {place + name: tensor for name, tensor in network.state_dict().items()}
    for place in ("module.normalizer.", "module.attacker.normalize."):
        state[f"{place}new_mean"] = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)
        state[f"{place}new_std"] = torch.tensor([0.2, 0.25, 0.3]).view(3, 1, 1)
    torch.save({"model": state, "optimizer": {}, "epoch": 3}, tmp_path / "w.pt")
    model, card = load_checkpoint(tmp_path / "w.pt")
    assert weights_hash(model) == weights_hash(network)
    assert (card.mean, card.std) == ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


def test_resnets_for_cifar_with_a_linear_head(tmp_path: Path) -> None:
    network = trained(create_model("resnet18-cifar", 10))
    state = {
        key.replace("fc.", "linear.").replace(".downsample.", ".shortcut."): tensor
        for key, tensor in network.state_dict().items()
    }
    assert {"linear.weight", "layer2.0.shortcut.0.weight"} <= state.keys()
    assert load(tmp_path, {"net": {f"module.{k}": v for k, v in state.items()}, "acc": 95.1, "epoch": 3}) == (
        weights_hash(network),
        None,
    )


def test_shortcuts_without_weights_are_told(tmp_path: Path, network: nn.Module) -> None:
    state = {k.replace("fc.", "linear."): v for k, v in network.state_dict().items() if ".downsample." not in k}
    with pytest.raises(DataError, match=r"holds a resnet8 whose shortcuts have no weights \(option A"):
        load(tmp_path, {"state_dict": state})


@pytest.mark.parametrize("name", ["wide_resnet50_2", "wide_resnet101_2", "resnext101_64x4d"])
def test_wide_resnets_are_pointed_to_torchvision(tmp_path: Path, name: str) -> None:
    import torchvision

    with WithoutDrawing(), torch.device("meta"):
        shapes = {k: v.shape for k, v in getattr(torchvision.models, name)().state_dict().items()}
    zero = torch.zeros(1)
    state = {k: zero if len(shape) < 2 else torch.empty(0, *shape[1:]) for k, shape in shapes.items()}
    state["layer1.0.conv2.weight"] = torch.zeros(shapes["layer1.0.conv2.weight"])
    with pytest.raises(DataError, match=f"holds a {name}") as caught:
        load(tmp_path, state)
    assert f"--model torchvision:{name}@{tmp_path / 'w.pth'}" in caught.value.hint


@pytest.mark.parametrize(
    ("key", "network"),
    [
        ("features.denseblock1.denselayer1.norm1.weight", "torchvision:densenet121@"),
        ("encoder.layers.encoder_layer_0.ln_1.weight", "torchvision:vit_b_16@"),
        ("features.1.0.block.0.0.weight", "torchvision:efficientnet_b0@"),
        ("blocks.0.attn.qkv.weight", "timm:vit_base_patch16_224@"),
        ("_conv_stem.weight", "pkg.mod:factory"),
        ("downsample_layers.0.0.weight", "pkg.mod:factory"),
    ],
)
def test_other_networks_are_pointed_to_where_they_are(tmp_path: Path, key: str, network: str) -> None:
    with pytest.raises(DataError, match="is not the state dict of a network that ppbench knows") as caught:
        load(tmp_path, {"model": {key: torch.zeros(1)}})
    assert f"Its first keys: {key}." in caught.value.hint
    assert network in caught.value.hint


def test_keys_that_were_found_are_named(tmp_path: Path, network: nn.Module, average: nn.Module) -> None:
    with pytest.raises(
        DataError, match=r"holds no tensors where weights usually are; its keys: epoch, optimizer, it's"
    ):
        load(tmp_path, {"epoch": 3, "optimizer": {"a": torch.zeros(1)}, "it's\x1b[31m": 1})
    both = {"generator": network.state_dict(), "discriminator": average.state_dict()}
    with pytest.raises(DataError, match="holds the weights of several networks, under generator, discriminator"):
        load(tmp_path, both)


def test_names_of_a_network_itself_are_no_wrappers() -> None:
    """timm's VOLO has stages called network, beside others."""
    state = {"patch_embed.weight": torch.zeros(1), "network.0.0.weight": torch.zeros(1)}
    assert without_wrappers(state).keys() == state.keys()


def test_mappings_that_stand_in_many_places_are_walked_through_once() -> None:
    inner: dict[str, Any] = {str(number): {} for number in range(2000)}
    middle = {str(number): inner for number in range(2000)}
    outer = {str(number): middle for number in range(2000)}
    outer["model"] = {"a": torch.zeros(1)}
    assert choose_weights(outer).key == "model"


def test_every_command_takes_such_files(
    tmp_path: Path, network: nn.Module, average: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go through one loader: eval, inspect and convert here; train and reproduce call it with no options."""
    from typer.testing import CliRunner

    path = tmp_path / "last.ckpt"
    torch.save({"model": network.state_dict(), "model_ema": average.state_dict()}, path)
    folder, target = str(tmp_path / "i"), str(tmp_path / "pp.safetensors")
    common = ["--preset", "cifar10", "--ema"]
    made = CliRunner().invoke(app, ["convert", "--model", str(path), "--keep-statistics", "-o", target, *common])
    assert made.exit_code == 0, made.output
    card = load_checkpoint(target).card
    assert card.weights == "model_ema, not model"
    assert (card.origin or {})["weights"] == weights_hash(average)
    monkeypatch.setattr("ppbench.inspection.figures.figure_files", lambda *arguments: {"kernels": b"picture"})
    shown = CliRunner().invoke(app, ["inspect", str(path), "-o", folder, "--draws", "16", *common])
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "i" / "kernels.png").read_bytes() == b"picture"


def test_averaged_weights_of_a_network_of_torchvisions(tmp_path: Path) -> None:
    import torchvision

    from ppbench.models.load import resolve_model

    plain, average = (trained(torchvision.models.squeezenet1_1(), seed) for seed in (1, 2))
    torch.save({"model": plain.state_dict(), "model_ema": average.state_dict()}, tmp_path / "w.pth")
    spec = f"torchvision:squeezenet1_1@{tmp_path / 'w.pth'}"
    for options, network, said in (
        (CardOptions(), plain, "model, not model_ema"),
        (CardOptions(ema=True), average, "model_ema, not model"),
    ):
        subject = resolve_model(spec, options)
        assert (weights_hash(subject.model), subject.card.weights) == (weights_hash(network), said)
