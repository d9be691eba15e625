#!/usr/bin/env bash
# Makes the command that the other steps use: the given one, or ppbench from the checkout that this action is part of.
set -euo pipefail

if [ -n "${COMMAND:-}" ]; then
    echo "command=$COMMAND" >>"$GITHUB_OUTPUT"
    exit 0
fi

place="$RUNNER_TEMP/ppbench-of-action"
"$PYTHON" -m venv "$place"
"$place/bin/python" -m pip install --quiet uv
# Reading runs needs no GPU; torch for CPUs is a tenth of the download.
"$place/bin/uv" pip install --quiet --python "$place/bin/python" --torch-backend cpu "$ACTION/.."
echo "command=$place/bin/ppbench" >>"$GITHUB_OUTPUT"
