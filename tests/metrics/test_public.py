import subprocess
import sys

import ppbench
from ppbench import metrics


def test_the_names_of_the_design_are_there():
    assert ppbench.metrics is metrics
    assert {"Accuracies", "CellErrors", "Metric", "ALEXNET", "mean_corruption_error", "headline_metrics"} <= set(
        metrics.__all__
    )
    assert all(getattr(metrics, name) is not None for name in metrics.__all__)


def test_metrics_are_reached_lazily_and_without_torch_numpy_and_pandas():
    program = (
        "import sys, ppbench; assert 'ppbench.metrics' not in sys.modules; assert 'metrics' in dir(ppbench);"
        "print(ppbench.metrics.ALEXNET.source, sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["alexnet", "[]"]
