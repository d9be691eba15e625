#!/usr/bin/env bash
# Runs `ppbench check`, keeps its table for the comment, and leaves its verdict to the last step.
set -euo pipefail

read -ra ppbench <<<"$COMMAND"
options=(--format markdown --github-summary)
[ -z "${BASELINE:-}" ] || options+=(--baseline "$BASELINE")
[ -z "${CONFIG:-}" ] || options+=(--config "$CONFIG")
[ -z "${FAIL_ON:-}" ] || options+=(--fail-on "$FAIL_ON")
while IFS= read -r rule; do
    [ -z "$rule" ] || options+=(--max-drop "$rule")
done <<<"${MAX_DROP:-}"
while IFS= read -r field; do
    [ -z "$field" ] || options+=(--allow "$field")
done <<<"${ALLOW:-}"

folder=$(mktemp -d "$RUNNER_TEMP/ppbench-check.XXXXXX")
code=0
"${ppbench[@]}" check "${options[@]}" -- "$RUN" >"$folder/table.md" 2>"$folder/messages.txt" || code=$?

# GitHub obeys lines of a log that begin with "::". Names in a run come from strangers, so none is obeyed here.
stop=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$stop"
cat "$folder/table.md" "$folder/messages.txt"
echo "::$stop::"

case $code in
0) verdict=pass ;;
1) verdict=regression ;;
*)
    verdict=error
    { echo "ppbench check ended with exit code $code:" && echo && sed 's/^/    /' "$folder/messages.txt"; } \
        >"$folder/table.md"
    cat "$folder/table.md" >>"$GITHUB_STEP_SUMMARY"
    ;;
esac
{
    echo "exit-code=$code"
    echo "verdict=$verdict"
    echo "table=$folder/table.md"
} >>"$GITHUB_OUTPUT"
