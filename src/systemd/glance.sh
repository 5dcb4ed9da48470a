# What an observation with what was shown before is made of, beside the words of machine.sh

# glance UNIT...: a line each of those that systemd has in memory. All of them cost as much as a few that are shown, for
# systemd collects every property of a unit to show one. Names are taken for patterns here: ? stands for a backslash.
glance() {
  for unit; do
    shift
    ! is_template "$unit" || { find_template "$unit"; printf '%s %s\n' "$unit" "$load"; continue; }
    while case "$unit" in *\\*) ;; *) false ;; esac; do unit=${unit%%\\*}?${unit#*\\}; done
    set -- "$@" "$unit"
  done
  [ $# -eq 0 ] || systemctl list-units --all --full --plain --no-legend --no-pager -- "$@"
}
# runs UNIT...: the run that each is in, where it is in one; systemd since 233 keeps links to their invocation ids
runs() {
  cd /run/systemd/units || return
  for unit; do
    shift
    [ ! -L "invocation:$unit" ] || set -- "$@" "invocation:$unit"
  done
  [ $# -eq 0 ] || stat -c '%n %N' -- "$@"
}
