#!/bin/sh
# fuzz.sh DIR SECONDS: runs each libFuzzer program fuzz_* in DIR for that long, one after another.
# It starts from fuzz/corpus/NAME and the words of fuzz/NAME.dict; what it finds new stays in DIR/found/NAME, a crash in DIR/crash-*.
set -eu

dir=$1
seconds=$2
sources=$(cd "$(dirname "$0")/.." && pwd)/fuzz
corpora=$sources/corpus
failed=
ran=0

for program in "$dir"/fuzz_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    name=${program##*/fuzz_}
    ran=$((ran + 1))
    mkdir -p "$dir/found/$name"
    set -- "$dir/found/$name"
    [ ! -d "$corpora/$name" ] || set -- "$@" "$corpora/$name"
    [ ! -f "$sources/$name.dict" ] || set -- "-dict=$sources/$name.dict" "$@"
    echo "== $name: $seconds s"
    "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$dir/crash-$name-" "$@" || failed="$failed $name"
done

[ "$ran" -gt 0 ] || { echo "no fuzz target in $dir" >&2; exit 1; }
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
echo "$ran targets, $seconds s each, nothing found"
