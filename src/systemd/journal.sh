# The functions of a script that reads the journal. Set before it: M the word that begins the answer

export LC_ALL=C.UTF-8 SYSTEMD_COLORS=0 SYSTEMD_LOG_COLOR=0 SYSTEMD_PAGER= SYSTEMD_URLIFY=0 PATH="$PATH:/usr/sbin:/sbin"

# read_journal COMMAND...: the clock of the machine, then the output of the command, until the command or standard input
# ends: sshd does not end a command when its connection is lost. The marker begins a line on both streams, after any output
# of the login shell.
read_journal() {
  date "+%n$M %s %z %Z" || return
  printf '\n%s\n' "$M" >&2
  exec 3<&0
  "$@" </dev/null 3<&- &
  reader=$!
  { while read -r rest; do :; done; kill "$reader"; } <&3 >/dev/null 2>&1 &
  guard=$!
  wait "$reader"
  status=$?
  kill "$guard" 2>/dev/null
  return "$status"
}
