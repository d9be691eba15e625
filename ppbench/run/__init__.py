"""The run file, the only door between inference and metrics: its schema, its storage, and the arrays beside it.

Importing it imports neither torch nor numpy.
"""

from ppbench.run.adaptation import Adaptation, parse_adaptation
from ppbench.run.attached import beside, data_blocks, is_page
from ppbench.run.classes import ClassSubset
from ppbench.run.fields import CALIBRATION_BINS, MOST_CLASSES
from ppbench.run.model import CardNotes, ModelRecord, conversion
from ppbench.run.predictions import CONFIDENCE_STEPS, Predictions, predictions_file, read_predictions
from ppbench.run.prompts import Prompts
from ppbench.run.schema import (
    MICRO,
    PROBABILITY_COUNTS,
    UNKNOWN,
    VERSION,
    Bits,
    CellCounts,
    PredictionsFile,
    Protocol,
    Provenance,
    Run,
    expected_cells,
    json_schema,
)
from ppbench.run.stopping import Decision, Stopping
from ppbench.run.store import (
    MeasuredRun,
    bits_file,
    image_keys,
    read_arrays,
    read_bits,
    read_image_keys,
    read_run,
    with_files,
    write_run,
)
from ppbench.run.stream import CCC_SEEDS, SPEEDS, StreamRecord
from ppbench.run.trial_counts import LARGEST_DISTANCE, Sequences, TrialsFile, is_noise
from ppbench.run.trials import Trials, read_trials, trials_file, trials_if_any

__all__ = [
    "CALIBRATION_BINS",
    "CCC_SEEDS",
    "CONFIDENCE_STEPS",
    "LARGEST_DISTANCE",
    "MICRO",
    "MOST_CLASSES",
    "PROBABILITY_COUNTS",
    "SPEEDS",
    "UNKNOWN",
    "VERSION",
    "Adaptation",
    "Bits",
    "CardNotes",
    "CellCounts",
    "ClassSubset",
    "Decision",
    "MeasuredRun",
    "ModelRecord",
    "Predictions",
    "PredictionsFile",
    "Prompts",
    "Protocol",
    "Provenance",
    "Run",
    "Sequences",
    "Stopping",
    "StreamRecord",
    "Trials",
    "TrialsFile",
    "beside",
    "bits_file",
    "conversion",
    "data_blocks",
    "expected_cells",
    "image_keys",
    "is_noise",
    "is_page",
    "json_schema",
    "parse_adaptation",
    "predictions_file",
    "read_arrays",
    "read_bits",
    "read_image_keys",
    "read_predictions",
    "read_run",
    "read_trials",
    "trials_file",
    "trials_if_any",
    "with_files",
    "write_run",
]
