#!/bin/sh
# check.sh PROGRAM EXPECTED [--update]: counts the instructions that each piece of PROGRAM executes,
# and fails when one needs a tenth more than EXPECTED says. Instructions, because time is not stable
# on a shared machine; a tenth, because hash seeds are random. One that needs a tenth less is told,
# so that what was won is written down with --update.
set -eu
program=$1
expected=$2
count=2000

out=$(mktemp)
trap 'rm -f "$out" "$out.new"' EXIT
status=0
: >"$out.new"
while read -r name before; do
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=measure \
        "$program" "$name" "$count" >"$out" 2>&1 || { cat "$out"; exit 1; }
    now=$(awk -v count=$count '/Collected/ { print int($NF / count) }' "$out")
    [ "${now:-0}" -gt 0 ] || { echo "$name: nothing was counted"; cat "$out"; exit 1; }
    echo "$name $now" >>"$out.new"
    verdict=
    if [ $((now * 10)) -gt $((before * 11)) ]; then
        verdict="  TOO MANY"
        status=1
    elif [ $((now * 10)) -lt $((before * 9)) ]; then
        verdict="  fewer: write it down with --update"
    fi
    echo "$name: $now instructions, expected $before$verdict"
done <"$expected"
if [ "${3:-}" = --update ]; then
    cp "$out.new" "$expected"
    status=0
fi
exit $status
