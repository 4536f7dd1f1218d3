#!/bin/sh
# tidy.sh ROOT BUILD: clang-tidy over src, on all cores. BUILD is a tree that was configured with
# clang and holds compile_commands.json.
#
# The static analyzer takes nineteen twentieths of the time, and two thirds of that went into tests: it follows each
# path of a long test through all that the test calls. A test is run in any case, sanitized, and shows its own faults
# by that; so the analyzer gives up on a function of a test after a twentieth of the usual number of steps.
#
# The lowest priority, because the tests beside it wait for time to pass and leave the cores idle.
set -eu
cd "$1"
build=$2
commands=$build/compile_commands.json

[ -f "$commands" ] || {
    echo "no $commands: configure with clang first (cmake --preset asan)"
    exit 1
}

# Only what that tree compiles: a source that no target names has no flags to check it with.
sources=$(find src -name '*.c' -print | LC_ALL=C sort | while read -r file; do
    ! grep -q "\"file\": \"[^\"]*/$file\"" "$commands" || echo "$file"
done)
[ -n "$sources" ] || { echo "nothing in src is built in $build"; exit 1; }

# Standard error only counts the warnings that were suppressed in system headers.
tidy() {
    xargs -r -P "$(nproc)" -n 1 nice -n 19 clang-tidy --quiet -p "$build" "$@" 2>/dev/null
}

failed=
printf '%s\n' "$sources" | grep -v '_test\.c$' | tidy || failed=1
printf '%s\n' "$sources" | grep '_test\.c$' |
    tidy --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=10000 || failed=1
[ -z "$failed" ]
