# Talk goes to stderr; what people may want to pipe goes to stdout.

say() { printf '%s\n' "$*" >&2; }

# Something went wrong while doing what was asked.
fail() {
  say "cluster: $*"
  exit 1
}

# This box cannot do it: one sentence, exit 2.
cannot() {
  say "cluster: $*"
  exit 2
}

usage_error() {
  say "cluster: $*; \"cluster help\" shows what there is"
  exit 2
}
