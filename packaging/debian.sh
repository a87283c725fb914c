#!/usr/bin/env bash
# debian.sh PROGRAM DIRECTORY: makes DIRECTORY/pgstrata_VERSION_ARCH.deb of a built program, its pages and completions.
set -euo pipefail
program=$(readlink -f "$1")
directory=$(readlink -f "$2")
root=$(readlink -f "$(dirname "$0")/..")
version=$(cat "$root/VERSION")
architecture=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y "$root/VERSION")}

tree=$stage/tree
doc=$tree/usr/share/doc/pgstrata
man=$tree/usr/share/man/man1
install -D -m 0755 -s "$program" "$tree/usr/bin/pgstrata"
install -D -m 0644 "$root/packaging/pgstrata.bash-completion" "$tree/usr/share/bash-completion/completions/pgstrata"
install -D -m 0644 "$root/packaging/_pgstrata" "$tree/usr/share/zsh/vendor-completions/_pgstrata"
for unit in "$root"/packaging/systemd/*; do
  install -D -m 0644 "$unit" "$tree/usr/lib/systemd/system/$(basename "$unit")"
done

# docs/adr/0011-the-program-holds-its-libraries.md
mkdir -p "$tree/usr/share/lintian/overrides"
echo 'pgstrata: embedded-library * [usr/bin/pgstrata]' >"$tree/usr/share/lintian/overrides/pgstrata"
chmod 0644 "$tree/usr/share/lintian/overrides/pgstrata"

mkdir -p "$doc" "$man"
install -m 0644 "$root/README.md" "$doc/"
for page in "$root"/docs/*.md "$root"/docs/adr/*.md "$root"/docs/commands/*.md "$root"/docs/format/*.md \
  "$root"/docs/protocol/*.md; do
  install -D -m 0644 "$page" "$doc/docs/${page#"$root/docs/"}"
done
for page in "$root"/docs/commands/*.md; do
  name=pgstrata-$(basename "$page" .md)
  awk -v name="$name" -v version="$version" -f "$root/packaging/markdown_to_man.awk" "$page" | gzip -9n >"$man/$name.1.gz"
done
{
  printf '# pgstrata\n\nEvery PostgreSQL backup is a database you can open.\n\n```text\n'
  "$program" --help
  printf '```\n\n## See also\n'
  for page in "$root"/docs/commands/*.md; do printf -- '- `pgstrata-%s`(1)\n' "$(basename "$page" .md)"; done
} | awk -v name=pgstrata -v version="$version" -f "$root/packaging/markdown_to_man.awk" | gzip -9n >"$man/pgstrata.1.gz"

cat >"$doc/copyright" <<TEXT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: pgstrata

Files: *
Copyright: 2026, the pgstrata authors
License: PostgreSQL
$(sed -n '5,$s/^$/./; 5,$s/^/ /p' "$root/LICENSE")
TEXT
# What the program holds of others' libraries (docs/adr/0011-the-program-holds-its-libraries.md), under their terms.
for library in libbz2-dev libdeflate-dev libfuse3-dev liblz4-dev libsqlite3-dev libssl-dev libxxhash-dev libzstd-dev zlib1g-dev \
  nlohmann-json3-dev libcli11-dev libspdlog-dev; do
  install -D -m 0644 "/usr/share/doc/$library/copyright" "$doc/embedded/$library"
done
gzip -9n >"$doc/changelog.gz" <<TEXT
pgstrata ($version) unstable; urgency=medium

$(for fragment in "$root"/changelog/unreleased/*.md "$root/changelog/$version"/*.md; do
  [ ! -e "$fragment" ] || sed -n '1s/^/  * /p' "$fragment"
done)

 -- The pgstrata authors <pgstrata@localhost>  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
TEXT
chmod 0644 "$doc/copyright" "$doc/changelog.gz" "$man"/*

mkdir -p "$stage/debian" "$tree/DEBIAN"
printf 'Source: pgstrata\n\nPackage: pgstrata\nArchitecture: any\n' >"$stage/debian/control"
depends=$(cd "$stage" && dpkg-shlibdeps -O "$tree/usr/bin/pgstrata" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
cat >"$tree/DEBIAN/control" <<TEXT
Package: pgstrata
Version: $version
Architecture: $architecture
Section: database
Priority: optional
Maintainer: The pgstrata authors <pgstrata@localhost>
Installed-Size: $(du -sk "$tree/usr" | cut -f1)
Depends: $depends, fuse3, libpq5, postgresql-client
Recommends: postgresql
Description: open PostgreSQL backups as writable databases
 pgstrata shows a base backup to PostgreSQL as a data directory, copy-on-write,
 and starts a private server on it: psql on yesterday's data in about the time
 that the server needs to start. Nothing is restored, nothing is copied, and the
 backup is never written.
TEXT
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
find "$tree" -type d -exec chmod 0755 {} +
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group --build "$tree" "$directory/pgstrata_${version}_$architecture.deb" >&2
echo "$directory/pgstrata_${version}_$architecture.deb"
