#!/bin/sh
# Install Debian's ClickHouse server, for the tests that speak the native protocol to a real one.
# Does nothing where it is installed. Needs apt-get and root.
set -eu

if command -v clickhouse-server >/dev/null; then
  exit 0
fi
# Keeps the package from starting a server of its own: each test starts the one it needs.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq
apt-get install -y -qq --no-install-recommends clickhouse-server
