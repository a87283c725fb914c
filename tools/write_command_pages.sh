#!/usr/bin/env bash
# write_command_pages.sh PROGRAM DIRECTORY: puts what `PROGRAM COMMAND --help` prints into the first block fenced as
# ```text of DIRECTORY/COMMAND.md, for every command; a page that is not there yet is begun.
set -euo pipefail
program=$1 pages=$2
mkdir -p "$pages"
"$program" --help | sed -n '/^Subcommands:$/,/^$/s/^  \([a-z][a-z-]*\)[ \t].*/\1/p' | while read -r name; do
  page=$pages/$name.md
  [ -e "$page" ] || printf '# pgstrata %s\n' "$name" >"$page"
  grep -q '^```text$' "$page" || printf '\n```text\n```\n' >>"$page"
  "$program" "$name" --help | sed 's/[ \t]*$//' | sed -e '/./,$!d' >"$page.help"
  awk -v help="$page.help" '
    /^```text$/ && !done { print; while ((getline line < help) > 0) text = text line "\n"
                           sub(/\n+$/, "\n", text); printf "%s", text; skipping = done = 1; next }
    skipping && /^```$/  { skipping = 0 }
    !skipping            { print }' "$page" >"$page.new"
  rm "$page.help"
  if cmp -s "$page" "$page.new"; then rm "$page.new"; else mv "$page.new" "$page" && echo "wrote $page"; fi
done
