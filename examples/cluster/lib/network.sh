# Network partitions. An nft table per cluster has the addresses that are cut off. Packets are dropped on input, so that
# senders get no error.

nft_table() { printf %s "fleet_cluster_$ID"; }

cut_machine() {
  nft list table ip "$(nft_table)" >/dev/null 2>&1 || add_nft_table
  nft add element ip "$(nft_table)" cut "{ $(address_of "$1") }"
  say "$1 is cut off"
}

heal_machine() {
  ! is_cut "$1" || nft delete element ip "$(nft_table)" cut "{ $(address_of "$1") }"
  say "$1 is connected"
}

is_cut() { [[ " $(cut_addresses) " == *" $(address_of "$1") "* ]]; }

# The addresses, among other words.
cut_addresses() {
  local listed
  listed=$(nft list set ip "$(nft_table)" cut 2>/dev/null) || return 0
  printf %s "${listed//[,$'\n\t']/ }"
}

add_nft_table() {
  nft -f - <<EOT
table ip $(nft_table) {
  set cut { type ipv4_addr; }
  chain input {
    type filter hook input priority -300; policy accept;
    iifname "lo" ip saddr @cut drop
    iifname "lo" ip daddr @cut drop
  }
}
EOT
}

remove_nft_table() {
  ! command -v nft >/dev/null || nft delete table ip "$(nft_table)" 2>/dev/null || true
}

# Port 22, unless a program on this box, such as its sshd, listens there on every address.
choose_port() {
  [ -z "$PORT" ] || return 0
  PORT=22
  ! listens_everywhere 22 || { PORT=2222 && say "port 22 is in use on every address of this box; the machines use port 2222"; }
  ! listens_everywhere "$PORT" || fail "port $PORT is also in use; choose one with FLEET_CLUSTER_PORT"
}

# Clients would take another program at this address for the machine.
require_free_address() {
  local a b c d
  IFS=. read -r a b c d <<<"$1"
  ! listens_at "$(printf '%02X%02X%02X%02X' "$d" "$c" "$b" "$a")" "$PORT" ||
    fail "another program listens on $1:$PORT; choose other addresses with FLEET_CLUSTER_SUBNET"
  ! listens_everywhere "$PORT" || fail "another program listens on port $PORT of every address; choose one with FLEET_CLUSTER_PORT"
}

listens_everywhere() { listens_at '0+' "$1"; }

# /proc/net/tcp has local addresses and ports in hexadecimal; state 0A is listening.
listens_at() {
  awk -v local="^$1:$(printf '%04X' "$2")$" '$4 == "0A" && $2 ~ local { found = 1 } END { exit !found }' \
    /proc/net/tcp /proc/net/tcp6
}
