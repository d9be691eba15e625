#!/usr/bin/env bash
# Ends with the exit code of `ppbench check`, after the report and the comment.
set -euo pipefail

exit "$EXIT_CODE"
