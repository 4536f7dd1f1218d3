#!/bin/sh
# docs.sh ROOT BUILD: every relative link in a document leads to a file and to a heading that is there, docs/README.md leads to every
# document, docs/api.md has every error that the program knows, which has its page in plain words, and docs/configuration.md has every
# key of the configuration that the program in BUILD has, with the same unit, least, greatest and default, and no other.
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

# The names by which links call the headings of a document, as GitHub makes them, and those of <a id="…">.
anchors_of() {
    awk '/^```/ { code = !code }
        code { next }
        match($0, /<a id="[^"]+"/) { print substr($0, RSTART + 7, RLENGTH - 8) }
        /^#+ / {
            text = tolower($0)
            sub(/^#+ /, "", text)
            gsub(/\]\([^)]*\)/, "", text)
            gsub(/[^a-z0-9_ -]/, "", text)
            gsub(/ /, "-", text)
            print seen[text] ? text "-" seen[text] : text
            seen[text]++
        }' "$1"
}

for document in $documents; do
    for link in $(grep -oE '\]\([^) ]*#[^) ]+' "$document" | cut -c 3- | grep -v '^[a-z]*:' | LC_ALL=C sort -u); do
        target=$document
        [ -z "${link%%#*}" ] || target=$(dirname "$document")/${link%%#*}
        case $target in *.md) ;; *) continue ;; esac
        [ ! -e "$target" ] || anchors_of "$target" | grep -qxF "${link#*#}" || {
            echo "$document: no such heading: $link"
            bad=1
        }
    done
done

for document in docs/*.md docs/*/*.md; do
    [ "$document" = docs/README.md ] || [ ! -e "$document" ] || grep -qF "](${document#docs/}" docs/README.md || {
        echo "docs/README.md: no link to $document"
        bad=1
    }
done

problems=src/base/problem.h
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

# Each error has its page in plain words.
words=src/api/problem_words.c
for name in $([ ! -f $problems ] || grep -oE 'X\([A-Z_]+, [0-9]+' $problems | sed 's/X(//; s/,.*//'); do
    grep -qF "[PROBLEM_$name]" $words || {
        echo "$words: no words for PROBLEM_$name of $problems"
        bad=1
    }
done

# The keys as the program has them: name, unit, least, greatest; and the default if it is a number.
keys_of_program() {
    "$1" help configuration | awk 'NR > 1 { print $1, $2, $3, $4, $5 }' | LC_ALL=C sort
}

# The same from the rows of the document. A default that is not a number is told in words.
keys_of_document() {
    sed -n '/^## The file/,$p' "$1" | grep -E '^\| `[a-z0-9_.]+` \|' | sed 's/^| //; s/ |$//' |
        awk -F ' [|] ' '$3 != "" {
            gsub("`", "", $1)
            print $1, $3, $4, $5, $6 ~ /^[0-9]+[A-Za-z]*$/ ? $6 : "-" }' | LC_ALL=C sort
}

program=${2:-build}/freshet
document=docs/configuration.md
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
[ ! -x "$program" ] || keys_of_program "$program" >"$room/program"
[ ! -f $document ] || keys_of_document $document >"$room/document"
# Keys that the pages of errors and the description of the API name are keys of the program.
for key in $(grep -ohE '\b(limits|webhooks|access)\.[a-z]+_?[a-z_]*' src/api/problem_words.c src/api/describe/*.json 2>/dev/null | LC_ALL=C sort -u); do
    [ ! -s "$room/program" ] || grep -q "^$key " "$room/program" || {
        echo "src/api: no key $key of the configuration"
        bad=1
    }
done
if [ -s "$room/program" ] && [ -s "$room/document" ]; then
    LC_ALL=C comm -3 "$room/program" "$room/document" >"$room/differ"
    [ ! -s "$room/differ" ] || {
        echo "keys (name, unit, least, greatest, default) that only the program has, and, indented,"
        echo "that only $document has:"
        cat "$room/differ"
        bad=1
    }
else
    echo "found no keys in $program or $document"
    bad=1
fi
exit $bad
