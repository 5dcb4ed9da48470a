#!/bin/sh
# machine.sh FOLDER: what the SSH server starts in place of a login shell. The address that was dialled says which of
# the pretended machines below FOLDER this is; what a machine of fleet has of its own is mounted over that of this box.
set -eu
read -r client port address rest <<EOF
$SSH_CONNECTION
EOF
export MACHINE="$1/$address" PATH="${0%/*}/bin:$PATH"
exec unshare --mount sh -euc '
  mount --bind "$MACHINE/machine-id" /etc/machine-id
  mount --bind "$MACHINE/units" /etc/systemd/system
  mount --bind "$MACHINE/lib" /var/lib
  mount --bind "$MACHINE/run" /run
  exec sh -c "$SSH_ORIGINAL_COMMAND"'
