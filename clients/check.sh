#!/usr/bin/env bash
# Runs the example of each client against a server of its own. `make checkclients` builds what this needs.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${1:?usage: clients/check.sh BINARY}

folder=$(mktemp -d)
server=
finish() {
	status=$?
	trap - EXIT
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" || true
	fi
	if [ "$status" != 0 ] && [ -s "$folder/log" ]; then
		echo "the server said:" >&2
		cat "$folder/log" >&2
	fi
	rm -rf "$folder"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

touch "$folder/out"
env -u CALLNORM_CONFIG "$binary" serve --http-addr 127.0.0.1:0 --grpc-addr 127.0.0.1:0 --data-dir "$folder/data" \
	>"$folder/out" 2>"$folder/log" &
server=$!
address=
for _ in $(seq 100); do
	address=$(sed -nE 's/^ *gRPC +([^ ]+)$/\1/p' "$folder/out")
	[ -z "$address" ] || break
	kill -0 "$server" 2>/dev/null || { echo "the server did not start" >&2; exit 1; }
	sleep 0.1
done
[ -n "$address" ] || { echo "the server printed no gRPC address within 10 s" >&2; exit 1; }

echo "Python, against $address"
PYTHONPATH=clients/python/gen clients/python/.venv/bin/python clients/python/example.py "$address"
echo "TypeScript, against $address"
npm --prefix clients/typescript run --silent example -- "$address"
