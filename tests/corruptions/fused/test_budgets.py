"""How many kernels the graphs become on a GPU, and that no severity or number of images compiles them again.

Inductor writes Triton's code for CPU tensors as it does for a GPU's; here nothing compiles or runs that code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from ppbench.corruptions import jpeg
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.fused import blur_graphs, colour_graphs, digital_graphs, graphs, weather_graphs
from tests.trees import photographs

pytest.importorskip("triton")
pytestmark = pytest.mark.usefixtures("_gpus_counted_once")

BUDGETS = {
    "defocus_blur": 2, "motion_blur": 1, "zoom_blur": 1, "gaussian_blur": 2, "snow": 3, "frost": 1, "fog": 4,
    "brightness": 1, "contrast": 2, "elastic_transform": 5, "pixelate": 2, "jpeg_compression": 10, "spatter": 2,
}  # fmt: skip
"""Kernels at 16 px, besides the two products of matrices of elastic_transform.

fog has one for each of the cloud's scales, here three, and one more. saturate has the graph of brightness, glass_blur
runs that of gaussian_blur twice, and that of spatter smooths its layer.
"""

SIDES = {"contrast": 68, "fog": 8}
"""contrast takes means by itself only in images of more than 64 x 64 px. fog has a scale more at each power of two."""


class _Kernel:
    def run(self, *args: Any, **options: Any) -> None:
        """Compute nothing."""


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_compiled() -> Iterator[None]:
    from torch._inductor import config
    from torch._inductor.async_compile import AsyncCompile

    def forget() -> None:
        for module in (blur_graphs, colour_graphs, digital_graphs, jpeg, weather_graphs):
            for value in vars(module).values():
                if isinstance(value, graphs.Graph):
                    value._compiled.clear()

    forget()
    with pytest.MonkeyPatch.context() as patch, config.patch(cpu_backend="triton", fx_graph_cache=False):
        patch.setattr("torch.utils._triton.triton_hash_with_backend", lambda: "none")
        patch.setattr(AsyncCompile, "triton", lambda self, *args, **options: _Kernel())
        yield
    forget()
    torch._dynamo.reset()


@pytest.mark.parametrize("name", BUDGETS)
def test_a_graph_is_few_kernels_and_compiled_once(name: str) -> None:
    from torch._inductor import metrics

    side = SIDES.get(name, 16)
    images = np.stack(list(photographs(side, 4)))[:, :, : max(8, side - 3)]
    kernels, compiled = metrics.generated_kernel_count, counters["stats"]["unique_graphs"]
    for severity in range(1, 6):
        for number in (3, 4, 1):
            with graphs.enabled():
                corrupt(images[:number], name, severity, recipe="imagenet-c", ids=list("abcd")[:number])
    assert counters["stats"]["unique_graphs"] - compiled == 1
    assert 0 < metrics.generated_kernel_count - kernels <= BUDGETS[name]
