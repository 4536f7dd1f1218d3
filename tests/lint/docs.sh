#!/bin/sh
# docs.sh ROOT: every relative link in a document leads to a file, and docs/api.md has every error
# that the program knows.
set -eu
cd "$1"
bad=0

documents=$(find . \( -name .git -o -name node_modules -o -name build \) -prune -o -name '*.md' -print)
for document in $documents; do
    for target in $(grep -oE '\]\([^)# ]+' "$document" | cut -c 3- | grep -v '^[a-z]*:'); do
        [ -e "$(dirname "$document")/$target" ] || {
            echo "$document: no such file: $target"
            bad=1
        }
    done
done

problems=src/transport/problem.h
slugs=$([ ! -f $problems ] || grep -oE 'X\([A-Z_]+, [0-9]+, "[a-z0-9-]+"' $problems | cut -d '"' -f 2)
[ -n "$slugs" ] || {
    echo "$problems: found no errors in it"
    bad=1
}
for slug in $slugs; do
    grep -qF "| \`$slug\` |" docs/api.md || {
        echo "docs/api.md: no row for the error $slug of $problems"
        bad=1
    }
done
exit $bad
