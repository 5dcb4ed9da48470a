# What a check of unit files is made of, beside the words of machine.sh

# stage: an empty folder for unit files that are only looked at; $V names it
stage() { own "$R" && V=$(mktemp -d "$R/verify.XXXXXX"); }
# analyze PATH...: what systemd has against them, and its version. Its exit status counts warnings since 250, if
# asked to; without --man=no a manual page that is not installed would be an error.
analyze() {
  version_of systemd-analyze || return
  echo "$version"
  [ "${version:-0}" -lt 250 ] || set -- --recursive-errors=one "$@"
  cd "$V" && within 25 systemd-analyze verify --man=no "$@"
}
