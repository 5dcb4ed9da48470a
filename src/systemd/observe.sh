# What an observation with what was shown before is made of, beside the words of machine.sh

# list_units UNIT...: a line each of those that systemd has in memory. All of them cost as much as a few that are shown, for
# systemd collects every property of a unit to show one. Names are taken for patterns here: ? stands for a backslash.
list_units() {
  for unit; do
    shift
    ! is_template "$unit" || { find_template "$unit"; printf '%s %s\n' "$unit" "$load"; continue; }
    while case "$unit" in *\\*) ;; *) false ;; esac; do unit=${unit%%\\*}?${unit#*\\}; done
    set -- "$@" "$unit"
  done
  [ $# -eq 0 ] || systemctl list-units --all --full --plain --no-legend --no-pager -- "$@"
}
# invocations UNIT...: the run that each is in, where it is in one; systemd since 233 keeps links to their invocation ids
invocations() {
  cd /run/systemd/units || return
  for unit; do
    shift
    [ ! -L "invocation:$unit" ] || set -- "$@" "invocation:$unit"
  done
  [ $# -eq 0 ] || stat -c '%n %N' -- "$@"
}
# texts UNIT...: their files, each as a line `unit base64`: that keeps every byte, which $(...) would not
texts() {
  # Else every text would be empty.
  [ -z "$(absent base64)" ] || { echo 'base64 is not there, install coreutils' >&2; return 12; }
  cd "$D" || return
  for unit; do
    [ -f "./$unit" ] || continue
    text=$(base64 -w 0 <"./$unit") || { [ ! -f "./$unit" ] || return; continue; }
    printf '%s %s\n' "$unit" "$text"
  done
}
# tokens: everything that holds a token, also of what was removed
tokens() { [ ! -e "$L" ] || { cd "$L" && each cat units/* removed/*; }; }
