#!/usr/bin/env bash
# write_command_pages.sh PROGRAM DIRECTORY: puts what `PROGRAM COMMAND --help` prints into the first block fenced as
# ```text of DIRECTORY/COMMAND.md, for every command; a page that is not there yet is begun. Of a command that consists of
# commands, the help of each goes into the first such block below the heading "## COMMAND SUBCOMMAND".
set -euo pipefail
program=$1 pages=$2
mkdir -p "$pages"

subcommands() { "$program" "$@" --help | sed -n '/^Subcommands:$/,/^$/s/^  \([a-z][a-z-]*\)[ \t].*/\1/p'; }

# fill PAGE HEADING COMMAND...: HEADING is empty for the page's first block.
fill() {
  local page=$1 heading=$2
  shift 2
  "$program" "$@" --help | sed 's/[ \t]*$//' | sed -e '/./,$!d' >"$page.help"
  awk -v help="$page.help" -v heading="$heading" '
    BEGIN                        { below = heading == "" }
    $0 == heading                { below = 1 }
    /^```text$/ && below && !done { print; while ((getline line < help) > 0) text = text line "\n"
                                   sub(/\n+$/, "\n", text); printf "%s", text; skipping = done = 1; next }
    skipping && /^```$/          { skipping = 0 }
    !skipping                    { print }' "$page" >"$page.new"
  rm "$page.help"
  if cmp -s "$page" "$page.new"; then rm "$page.new"; else mv "$page.new" "$page" && echo "wrote $page"; fi
}

subcommands | while read -r name; do
  page=$pages/$name.md
  [ -e "$page" ] || printf '# pgstrata %s\n' "$name" >"$page"
  grep -q '^```text$' "$page" || printf '\n```text\n```\n' >>"$page"
  fill "$page" "" "$name"
  subcommands "$name" | while read -r sub; do
    heading="## $name $sub"
    grep -qxF "$heading" "$page" || printf '\n%s\n\n```text\n```\n' "$heading" >>"$page"
    fill "$page" "$heading" "$name" "$sub"
  done
done
