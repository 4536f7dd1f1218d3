#!/bin/sh
# tidy.sh ROOT BUILD: clang-tidy over src, on all cores. BUILD is a tree that was configured with
# clang and holds compile_commands.json.
#
# The static analyzer takes nineteen twentieths of the time: it follows each path of a function through all that the function
# calls, for so many steps (max-nodes). An eighth of its usual 225,000 takes a sixth of the time, and found as much: of 48
# mistakes that were put into src at random (a check or a free() left out) it finds 6 with either number. STEPS=225000 takes
# all. Tests get fewer still: a test is run in any case, sanitized, and shows its own faults by that.
#
# The lowest priority, because the tests beside it wait for time to pass and leave the cores idle.
set -eu
cd "$1"
build=$2
steps=${STEPS:-28000}
test_steps=10000
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

# tidy STEPS: checks the files that it reads. Standard error only counts the warnings that were suppressed in system headers.
tidy() {
    xargs -r -P "$(nproc)" -n 1 nice -n 19 clang-tidy --quiet -p "$build" \
        --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes="$1" 2>/dev/null
}

failed=
printf '%s\n' "$sources" | grep -v '_test\.c$' | tidy "$steps" || failed=1
printf '%s\n' "$sources" | grep '_test\.c$' | tidy "$test_steps" || failed=1
[ -z "$failed" ]
