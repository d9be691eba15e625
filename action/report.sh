#!/usr/bin/env bash
# Writes the report of the run. A report that cannot be written is a warning: the verdict does not depend on it.
set -euo pipefail

read -ra ppbench <<<"$COMMAND"
report="$(mktemp -d "$RUNNER_TEMP/ppbench-report.XXXXXX")/report.html"
options=(--output "$report")
[ -z "${BASELINE:-}" ] || options+=(--baseline "$BASELINE")
[ -z "${DATA:-}" ] || options+=(--data "$DATA")
while IFS= read -r field; do
    [ -z "$field" ] || options+=(--allow "$field")
done <<<"${ALLOW:-}"

stop=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$stop"
code=0
"${ppbench[@]}" report "${options[@]}" -- "$RUN" || code=$?
echo "::$stop::"

if [ "$code" -eq 0 ]; then
    echo "report=$report" >>"$GITHUB_OUTPUT"
else
    echo "::warning title=ppbench report::There is no report: ppbench report ended with exit code $code."
fi
