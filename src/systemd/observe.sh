# The functions of observations with a cache, a backup or tokens

# list_units UNIT...: a line for each one that systemd has in memory. All lines cost as much as a few units in systemctl show,
# which collects every property. Names are patterns here: ? stands for a backslash.
list_units() {
  for unit; do
    shift
    ! is_stateless "$unit" || { find_template "$unit"; say "$unit $load"; continue; }
    while case "$unit" in *\\*) ;; *) false ;; esac; do unit=${unit%%\\*}?${unit#*\\}; done
    set -- "$@" "$unit"
  done
  [ $# -gt 0 ] || return 0
  told list-units --all --full --plain --no-legend --no-pager -- "$@"
  set -- $?
  say "$said"
  return "$1"
}
# invocations UNIT...: the links to the invocation ids of these units; systemd keeps them since 233
invocations() {
  for unit; do
    shift
    [ ! -L "/run/systemd/units/invocation:$unit" ] || set -- "$@" "invocation:$unit"
  done
  out=$(cd /run/systemd/units && { [ $# -eq 0 ] || stat -c '%n %N' -- "$@"; })
}
# texts UNIT...: their files, as lines `unit base64`, because $(...) would not keep every byte
texts() {
  absent base64
  # Otherwise every text would be empty.
  [ -z "$out" ] || { echo 'base64 is not there, install coreutils' >&2; return 12; }
  cd "$D" || return
  for unit; do
    [ -f "./$unit" ] || continue
    text=$(base64 -w 0 <"./$unit") || { [ ! -f "./$unit" ] || return; continue; }
    say "$unit $text"
  done
}
# tokens: all files with tokens, removed units included
tokens() { [ ! -e "$L" ] || { cd "$L" && each cat units/* removed/*; }; }
