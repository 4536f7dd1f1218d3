#!/bin/sh
# docs.sh ROOT: every relative link in a document leads to a file, docs/api.md has every error that
# the program knows, and docs/configuration.md has every key of the configuration file and no other.
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

# The keys as the schema of the file has them: `limits.body_max`. A key that holds others is none.
keys_of_schema() {
    grep -v '^#define' "$1" | tr -s '\n ' ' ' |
        grep -oE 'CYAML_FIELD_[A-Z_]+\("[a-z_]+",[^"()]*struct [a-z_]+|U64\(struct [a-z_]+, [a-z_]+|LIMIT(_PTR)?\([a-z_]+|TEXT\("[a-z_]+"' |
        sed -E 's/^CYAML_FIELD_[A-Z_]+\("([a-z_]+)",.*struct ([a-z_]+)$/\2.\1/
            s/^U64\(struct ([a-z_]+), ([a-z_]+)$/\1.\2/
            s/^LIMIT(_PTR)?\(([a-z_]+)$/file_limits.\2/
            s/^TEXT\("([a-z_]+)"$/file_source.\1/
            s/^config_file\.//; s/^file_space\./namespaces./
            s/^file_source\./inbound./
            s/^file_retention\./namespaces.retention./; s/^file_//' |
        LC_ALL=C sort -u | awk '{ key[NR] = $0 }
            END { for (i = 1; i <= NR; i++) if (index(key[i + 1], key[i] ".") != 1) print key[i] }'
}

keys_of_document() {
    sed -n '/^## The file/,$p' "$1" | grep -oE '^\| `[a-z_.]+` \|' | cut -d '`' -f 2 |
        LC_ALL=C sort -u
}

schema=src/server/config.c
document=docs/configuration.md
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
[ ! -f $schema ] || keys_of_schema $schema >"$room/schema"
[ ! -f $document ] || keys_of_document $document >"$room/document"
if [ -s "$room/schema" ] && [ -s "$room/document" ]; then
    LC_ALL=C comm -3 "$room/schema" "$room/document" >"$room/differ"
    [ ! -s "$room/differ" ] || {
        echo "keys that only $schema has, and, indented, that only $document has:"
        cat "$room/differ"
        bad=1
    }
else
    echo "found no keys in $schema or $document"
    bad=1
fi
exit $bad
