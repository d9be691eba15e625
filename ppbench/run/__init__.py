"""The run file, the only door between inference and metrics: its schema, its storage, and the arrays beside it.

Importing it imports neither torch nor numpy.
"""

from ppbench.run.bits import beside, bits_file, image_keys, read_arrays, read_bits, read_image_keys
from ppbench.run.fields import CALIBRATION_BINS
from ppbench.run.measured import MeasuredRun
from ppbench.run.model import CardNotes, ModelRecord, conversion
from ppbench.run.schema import (
    MICRO,
    PROBABILITY_COUNTS,
    UNKNOWN,
    VERSION,
    Bits,
    CellCounts,
    ClassSubset,
    Decision,
    Protocol,
    Provenance,
    Run,
    Stopping,
    expected_cells,
    json_schema,
)
from ppbench.run.store import read_run, write_run

__all__ = [
    "CALIBRATION_BINS",
    "MICRO",
    "PROBABILITY_COUNTS",
    "UNKNOWN",
    "VERSION",
    "Bits",
    "CardNotes",
    "CellCounts",
    "ClassSubset",
    "Decision",
    "MeasuredRun",
    "ModelRecord",
    "Protocol",
    "Provenance",
    "Run",
    "Stopping",
    "beside",
    "bits_file",
    "conversion",
    "expected_cells",
    "image_keys",
    "json_schema",
    "read_arrays",
    "read_bits",
    "read_image_keys",
    "read_run",
    "write_run",
]
