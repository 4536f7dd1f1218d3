#!/bin/sh
# tidy.sh ROOT BUILD: clang-tidy over src, on all cores. BUILD is a tree that was configured with
# clang and holds compile_commands.json.
set -eu
cd "$1"
commands=$2/compile_commands.json

[ -f "$commands" ] || {
    echo "no $commands: configure with clang first (cmake --preset asan)"
    exit 1
}

# Only what that tree compiles: a source that no target names has no flags to check it with.
sources=$(find src -name '*.c' -print | LC_ALL=C sort | while read -r file; do
    ! grep -q "\"file\": \"[^\"]*/$file\"" "$commands" || echo "$file"
done)
[ -n "$sources" ] || { echo "nothing in src is built in $2"; exit 1; }

# Standard error only counts the warnings that were suppressed in system headers.
printf '%s\n' "$sources" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "$2" 2>/dev/null
