# The suites of others that ./dev test --long runs against the program: pjdfstest and fsx on a mount, PostgreSQL's own
# regression tests on a branch.

POSIX_TOOLS=(pjdfstest@0.2.2 fsx@0.3.2)
FSX_SECONDS=1800

dev_suite_posix() {
  local tools tool
  command -v cargo >/dev/null || install_packages cargo-web libc6-dev
  install_packages acl libacl1-dev
  tools=$(readlink -f build)/posix-tools
  for tool in "${POSIX_TOOLS[@]}"; do
    [ -x "$tools/bin/${tool%@*}" ] || quietly cargo install --locked --root "$tools" "$tool"
  done
  say "pjdfstest and fsx on a mount"
  as_root bash tests/suites/posix.sh build/pgstrata "$tools/bin" "$FSX_SECONDS"
}

# The sources of Debian's postgresql-15, of the newest version that is there; only src/test/regress is unpacked.
fetch_regression_tests() {
  local place=$1 options version
  [ -e "$place/regress.so" ] && return
  install_packages postgresql-server-dev-15 dpkg-dev bzip2
  rm -rf "$place.new" && mkdir -p "$place.new/lists/partial"
  sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$place.new/src.sources" 2>/dev/null ||
    printf 'Types: deb-src\nURIs: http://deb.debian.org/debian\nSuites: bookworm\nComponents: main\nSigned-By: %s\n' \
      /usr/share/keyrings/debian-archive-keyring.gpg >"$place.new/src.sources"
  options=(-q -o "Dir::Etc::sourcelist=$place.new/src.sources" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$place.new/lists" -o APT::Sandbox::User=root)
  quietly apt-get "${options[@]}" update
  for version in $(apt-cache "${options[@]}" showsrc postgresql-15 | awk '/^Version:/ { print $2 }' | sort -rV); do
    (cd "$place.new" && apt-get "${options[@]}" source --download-only "postgresql-15=$version") >&2 && break
  done
  tar -xjf "$place.new"/postgresql-15_*.orig.tar.bz2 -C "$place.new" --wildcards --strip-components=4 '*/src/test/regress/*'
  gcc -shared -fPIC -O2 -I"$(pg_config --includedir-server)" -o "$place.new/regress.so" "$place.new/regress.c"
  ln -s "$(pg_config --pkglibdir)"/{refint,autoinc}.so "$place.new/"
  rm -rf "$place.new/lists"
  mv "$place.new" "$place"
}

dev_suite_pg_regress() {
  local place
  place=$(readlink -f build)/pg_regress
  fetch_regression_tests "$place"
  say "PostgreSQL's regression tests on a branch"
  as_root bash tests/suites/pg_regress.sh build/pgstrata "$place"
}
