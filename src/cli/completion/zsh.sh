#compdef fleetctl
# Completion of fleetctl for zsh: fleetctl itself says what may follow. Nothing that was typed is run or expanded.
_fleetctl() {
  local -a typed whole open
  local line
  (( CURRENT > 2 )) && typed=("${(@Q)words[2,CURRENT-1]}")
  for line in "${(@f)$(command fleetctl __complete -- "${typed[@]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
    line=${line%%$'\t'*}
    case $line in
      '') ;;
      *[/=,@]) open+=("$line") ;;
      *) whole+=("$line") ;;
    esac
  done
  compadd -a whole
  compadd -S '' -a open
}
if [[ ${funcstack[1]-} == _fleetctl ]]; then _fleetctl "$@"; else compdef _fleetctl fleetctl; fi
