# The functions of observations with a cache, a backup or tokens

# list_units UNIT...: a line for each one that systemd has in memory. All lines cost as much as a few units in systemctl show,
# which collects every property. Names are patterns here: ? stands for a backslash.
list_units() {
  for unit; do
    shift
    ! is_template "$unit" || { find_template "$unit"; printf '%s %s\n' "$unit" "$load"; continue; }
    while case "$unit" in *\\*) ;; *) false ;; esac; do unit=${unit%%\\*}?${unit#*\\}; done
    set -- "$@" "$unit"
  done
  [ $# -eq 0 ] || systemctl list-units --all --full --plain --no-legend --no-pager -- "$@"
}
# invocations UNIT...: the links to the invocation ids of these units; systemd keeps them since 233
invocations() {
  cd /run/systemd/units || return
  for unit; do
    shift
    [ ! -L "invocation:$unit" ] || set -- "$@" "invocation:$unit"
  done
  [ $# -eq 0 ] || stat -c '%n %N' -- "$@"
}
# texts UNIT...: their files, as lines `unit base64`, because $(...) would not keep every byte
texts() {
  # Otherwise every text would be empty.
  [ -z "$(absent base64)" ] || { echo 'base64 is not there, install coreutils' >&2; return 12; }
  cd "$D" || return
  for unit; do
    [ -f "./$unit" ] || continue
    text=$(base64 -w 0 <"./$unit") || { [ ! -f "./$unit" ] || return; continue; }
    printf '%s %s\n' "$unit" "$text"
  done
}
# tokens: all files with tokens, removed units included
tokens() { [ ! -e "$L" ] || { cd "$L" && each cat units/* removed/*; }; }
