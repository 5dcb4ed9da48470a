# Messages go to standard error, because standard output has data for pipes.

say() { printf '%s\n' "$*" >&2; }

# A request that failed.
fail() {
  say "cluster: $*"
  exit 1
}

# A missing requirement of this box.
cannot() {
  say "cluster: $*"
  exit 2
}

usage_error() {
  say "cluster: $*; see \"cluster help\""
  exit 2
}
