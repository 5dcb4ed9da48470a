# Completion of fleetctl for bash: fleetctl itself says what may follow. Nothing that was typed is run or expanded.
_fleetctl() {
  local line=${COMP_LINE:0:COMP_POINT} breaks=${COMP_WORDBREAKS//[[:space:]]/} words=() current before candidate rest
  read -a words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=${words[${#words[@]} - 1]}
  # Bash replaces the text after the last of its word breaks, such as the @ of web@1.
  before=${current%"${current##*[$breaks]}"}
  COMPREPLY=()
  while IFS=$'\t' read -r candidate rest; do
    candidate=${candidate#"$before"}
    [[ $candidate == *[!A-Za-z0-9_@%+=:,./-]* ]] && printf -v candidate %q "$candidate"
    COMPREPLY+=("$candidate")
  done < <(command fleetctl __complete -- "${words[@]:1}" 2>/dev/null)
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/=,@] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _fleetctl fleetctl
