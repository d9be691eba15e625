"""Build ResNets by name: plain, with a push-pull stem, or with the stem of a rival."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ppbench.models.shapes import SMALL_RESNETS, Architecture, parse_model_name
from ppbench.models.stems import check_settings, with_stem


class SmallBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., CVPR 2016, figure 2).

    It has the names of torchvision's ``BasicBlock``, which is not used because importing torchvision takes longer than
    importing torch.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        stride: Stride of the first convolution.
        downsample: The shortcut, if the shape changes.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        # In place, as in torchvision: a sum of its own would need more memory.
        out += shortcut
        return cast(Tensor, self.relu(out))


class SmallResNet(nn.Module):
    """The three-stage ResNet for 28 to 32 px images (He et al., CVPR 2016, section 4.2), 16, 32 and 64 channels wide.

    The shortcuts that change the shape are 1x1 convolutions (the paper's option B). Attributes are named as in
    torchvision's ResNet.

    Args:
        blocks: Residual blocks per stage; the depth is ``6 * blocks + 2``.
        num_classes: Number of outputs.

    Shape:
        ``(N, 3, H, W)`` to logits ``(N, num_classes)``.
    """

    def __init__(self, blocks: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _initialise(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return cast(Tensor, self.fc(self.avgpool(x).flatten(1)))


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    first = SmallBlock(inputs, outputs, stride, shortcut)
    return nn.Sequential(first, *(SmallBlock(outputs, outputs) for _ in range(blocks - 1)))


def create_model(
    name: str,
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    stem_bias: bool = False,
    inhibition: float = 1.0,
    trainable_inhibition: bool = False,
    rectified_push: bool = True,
) -> nn.Module:
    """Build a network by name, with random weights drawn from torch's default generator.

    Convolutions are initialised kaiming-normal (fan-out) as in torchvision. A plain network and its variants with other
    stems have equal weights if they are built from the same seed and the inhibition is not trainable.

    Args:
        name: One of `ppbench.models.shapes.model_names`, e.g. ``resnet50``, ``resnet50-pp5``, ``resnet18-cifar-pp``,
            ``resnet50-blurpool``.
        num_classes: Outputs of the network.
        in_channels: 3 for colour, 1 for grey images.
        stem_bias: Whether the first convolution has a bias (as in the authors' networks), drawn from U[-1, 1).
        inhibition: Strength of the pull response (push-pull names only).
        trainable_inhibition: Whether the strength is trained, per output channel.
        rectified_push: Whether the push is rectified, as in the paper; see `PushPullConv2d`.

    Returns:
        A module that maps ``(N, in_channels, H, W)`` to logits ``(N, num_classes)``, in training mode.

    Raises:
        UsageError: If there is no such name, or an inhibition is given for a network without push-pull.
    """
    architecture = parse_model_name(name)
    check_settings(name, architecture.variant, inhibition, trainable_inhibition, rectified_push)
    model = _plain_network(architecture, num_classes)
    _replace_stem(model, architecture, in_channels, stem_bias)
    if architecture.variant is not None:
        with_stem(
            model,
            architecture.variant,
            inhibition=inhibition,
            trainable_inhibition=trainable_inhibition,
            rectified_push=rectified_push,
        )
    return model


def _plain_network(architecture: Architecture, num_classes: int) -> nn.Module:
    if architecture.network in SMALL_RESNETS:
        return SmallResNet(SMALL_RESNETS[architecture.network].blocks[0], num_classes)
    import torchvision

    return cast(nn.Module, getattr(torchvision.models, architecture.network)(num_classes=num_classes))


def _replace_stem(model: nn.Module, architecture: Architecture, in_channels: int, bias: bool) -> None:
    """Give ``model`` the stem that its name, channels and bias require, unless it has that already."""
    stem = cast(nn.Conv2d, model.conv1)
    size, stride, padding = (7, 2, 3) if architecture.stem == "imagenet" else (3, 1, 1)
    if stem.kernel_size != (size, size):
        # The stem for small images does not subsample, neither by its stride nor by a pool.
        model.maxpool = nn.Identity()
    elif in_channels == stem.in_channels and not bias:
        # It stays: drawn again, its weights would not be those of torchvision's network with the same seed.
        return
    model.conv1 = nn.Conv2d(in_channels, stem.out_channels, size, stride, padding, bias=bias)
    _initialise(model.conv1.weight)
    if model.conv1.bias is not None:
        nn.init.uniform_(model.conv1.bias, -1, 1)


def _initialise(weight: Tensor) -> None:
    """Draw the weights of a convolution, but not on the meta device, for which torch would load its compiler."""
    if not weight.is_meta:
        nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
