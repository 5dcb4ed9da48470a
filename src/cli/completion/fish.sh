# Completion of fleetctl for fish: fleetctl itself says what may follow. Nothing that was typed is run or expanded.
function __fleetctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    command fleetctl __complete -- $words[2..-1] "$current" 2>/dev/null
end
complete -c fleetctl -f -a '(__fleetctl_complete)'
