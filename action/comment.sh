#!/usr/bin/env bash
# Keeps one comment of a pull request up to date: the first build adds it, later builds change it.
set -euo pipefail

# The comment is found again by its first line. The name becomes letters, digits, dots, - and _.
marker="<!-- ppbench check: $(printf %s "$NAME" | tr -c 'A-Za-z0-9._-' '_') -->"
folder=$(mktemp -d "$RUNNER_TEMP/ppbench-comment.XXXXXX")
warn() {
    # A pull request from a fork has a token that may not write. That is no reason to fail its build.
    echo "::warning title=ppbench comment::The pull request has no new comment: $1. See the permissions in docs/ci.md."
    exit 0
}

number=$(python3 -c 'import json, sys; print(int(json.load(open(sys.argv[1]))["pull_request"]["number"]))' \
    "$GITHUB_EVENT_PATH")
comments="repos/$GITHUB_REPOSITORY/issues/$number/comments"

title=$VERDICT
# The exit code is that of a pass, but people should not read that every rule passed.
if [ "$VERDICT" = pass ] && head -n 1 "$TABLE" | grep -q '^### NOT DECIDED'; then
    title="not decided (not failed)"
fi

{
    echo "$marker"
    echo "### ppbench: $title"
    echo
    # GitHub refuses more than 65,536 characters. An invisible blank after "@" keeps names from calling people.
    head -c 30000 "$TABLE" | iconv -c -f UTF-8 -t UTF-8 | sed "s/@/@$(printf '\342\200\213')/g"
    [ "$(wc -c <"$TABLE")" -le 30000 ] || printf '\n\n%s' "The rest is in the summary of the build."
    echo
    echo
    [ -z "${REPORT_URL:-}" ] || printf '%s' "[Report]($REPORT_URL) · "
    echo "[Build]($GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID) of $GITHUB_SHA"
} >"$folder/body.md"

found=""
for page in $(seq 1 20); do
    gh api "$comments?per_page=100&page=$page" >"$folder/page.json" || warn "the comments cannot be read"
    # Only comments of this action's user are changed, whoever else writes that line.
    answer=$(python3 -c '
import json, sys
path, marker, author = sys.argv[1:]
comments = json.load(open(path, encoding="utf-8"))
own = [one["id"] for one in comments if one["user"]["login"] == author and one["body"].startswith(marker)]
print(own[0] if own else "", len(comments))
' "$folder/page.json" "$marker" "$AUTHOR")
    found=${answer% *}
    [ -z "$found" ] && [ "${answer##* }" -eq 100 ] || break
done

if [ -n "$found" ]; then
    gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$found" -F "body=@$folder/body.md" --silent ||
        warn "comment $found cannot be changed"
else
    gh api --method POST "$comments" -F "body=@$folder/body.md" --silent || warn "it cannot be added"
fi
