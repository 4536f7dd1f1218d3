#!/bin/sh
# security.sh ROOT: each test that SECURITY.md names exists: `e2e.NAME`, `hostile.NAME`, `corpus.NAME` or
# `LAYER.NAME`; and where a title stands behind it, as in `e2e.NAME` ("title"), that test has it.
set -eu
cd "$1"
bad=0
document=SECURITY.md

# The file of a test; nothing if there is none.
file_of() {
    layer=${1%%.*} name=${1#*.}
    case $layer in
    e2e) file=tests/e2e/$name.test.mjs ;;
    corpus) file=fuzz/$name.c ;;
    hostile)
        file=tests/hostile/$name.mjs
        [ -f "$file" ] || file=$(grep -lx "    $name: {" tests/hostile/*.mjs | head -n 1)
        ;;
    *)
        file=$(find "src/$layer" -name '*_test.c' | while read -r path; do
            flat=$(echo "${path#"src/$layer/"}" | tr / _)
            [ "$flat" != "${name}_test.c" ] || echo "$path"
        done)
        ;;
    esac
    [ -z "$file" ] || [ ! -f "$file" ] || echo "$file"
}

names=$(grep -oE '`[a-z0-9_]+\.[a-z0-9_]+`' $document | tr -d '`' | grep -vE '\.(yaml|md|c)$' | sort -u)
for layer in e2e hostile corpus; do
    echo "$names" | grep -q "^$layer\." || {
        echo "$document: names no test of $layer"
        bad=1
    }
done
for test in $names; do
    case $test in
    limits.*) continue ;; # a key of the configuration
    esac
    [ -n "$(file_of "$test")" ] || {
        echo "$document: no such test: $test"
        bad=1
    }
done

titles=$(mktemp)
trap 'rm -f "$titles"' EXIT
grep -oE '`[a-z0-9_]+\.[a-z0-9_]+` \("[^"]+"\)' $document >"$titles" || true
while read -r line; do
    test=$(echo "$line" | cut -d '`' -f 2)
    title=$(echo "$line" | cut -d '"' -f 2)
    file=$(file_of "$test")
    [ -n "$file" ] && grep -qF -- "$title" "$file" || {
        echo "$document: $test has no test \"$title\""
        bad=1
    }
done <"$titles"
exit $bad
