# What a script that reads the journal is made of. Set before it: M the word that begins the answer

export LC_ALL=C.UTF-8 SYSTEMD_COLORS=0 SYSTEMD_LOG_COLOR=0 SYSTEMD_PAGER= SYSTEMD_URLIFY=0 PATH="$PATH:/usr/sbin:/sbin"

# read_journal COMMAND...: the machine's clock, then what journalctl prints, until that has ended or standard input
# has, for nobody there means nobody who reads. sshd ends no command by itself when its connection is gone. The marker
# begins a line on both streams, whatever the login shell printed before it.
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
