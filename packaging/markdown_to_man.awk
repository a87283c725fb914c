# Our command pages as manual pages: headings, paragraphs, lists, tables as they are, fenced blocks. awk -v name=... -v version=...
function inline(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  while (match(text, /\[[^]]*\]\([^)]*\)/)) {
    link = substr(text, RSTART, RLENGTH)
    sub(/\]\(.*/, "", link)
    text = substr(text, 1, RSTART - 1) substr(link, 2) substr(text, RSTART + RLENGTH)
  }
  while (match(text, /`[^`]*`/)) {
    text = substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART + 1, RLENGTH - 2) "\\fR" substr(text, RSTART + RLENGTH)
  }
  gsub(/\*\*/, "", text)
  if (text ~ /^[.']/) text = "\\&" text
  return text
}
function verbatim(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  if (text ~ /^[.']/) text = "\\&" text
  return text
}
BEGIN {
  printf ".TH %s 1 \"\" \"pgstrata %s\" \"pgstrata\"\n", toupper(name), version
}
/^```/ { print fenced ? ".fi\n.RE" : ".RS 2\n.nf"; fenced = !fenced; next }
fenced { print verbatim($0); next }
/^# /  { title = 1; next }
title && !named && NF {
  sub(/\.$/, "")
  summary = inline($0)
  printf ".SH NAME\n%s \\- %s\n.SH DESCRIPTION\n", name, tolower(substr(summary, 1, 1)) substr(summary, 2)
  named = 1
  next
}
/^## / { printf ".SH %s\n", toupper(inline(substr($0, 4))); next }
/^### / { printf ".SS %s\n", inline(substr($0, 5)); next }
/^[-*] / { printf ".IP \\(bu 2\n%s\n", inline(substr($0, 3)); listed = 1; next }
/^\|[ :|-]+\|$/ { next }
/^\|/  { gsub(/^\| *| *\|$/, ""); gsub(/ *\| */, ": "); printf ".br\n%s\n", inline($0); next }
/^$/   { if (named) print ".PP"; next }
       { sub(/^ +/, ""); print inline($0) }
