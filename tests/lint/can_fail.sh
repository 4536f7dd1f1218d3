#!/bin/sh
# can_fail.sh ROOT: a lint that cannot fail protects nothing. Each lint of ROOT is shown a small tree
# that is right, then the same tree with one thing wrong.
set -eu
project=$1
room=$(mktemp -d)
root=$room/tree
trap 'rm -rf "$room"' EXIT
failed=0

table='## The file\n\n| `one` | x | text | - | - | none |\n| `a.two` | x | ms | 1ms | 1d | 5s | y |\n'

plant() {
    rm -rf "$root"
    mkdir -p "$root/src/base" "$root/src/net" "$root/src/http" "$root/src/hub" "$root/src/api" \
        "$root/src/publish" "$root/src/transport" "$root/src/server" "$root/docs" \
        "$root/src/webhooks/wire" "$root/src/webhooks/attic" "$root/src/bench" "$root/src/client/lib" \
        "$root/tests/e2e"
    printf '| 400 | `bad-one` |\n[one](../src/base/one.h), [file](configuration.md#the-file)\n' >"$root/docs/api.md"
    printf '[api](api.md), [configuration](configuration.md)\n' >"$root/docs/README.md"
    printf '/* Errors. */\n#pragma once\n\n/* X(BAD_ONE, 400, "bad-one", "One") */\n' \
        >"$root/src/base/problem.h"
    printf 'enum { PROBLEM_BAD_ONE };\n\nconst int problem_words[] = {[PROBLEM_BAD_ONE] = 1};\n' >"$root/src/api/problem_words.c"
    printf '#!/bin/sh\ncat keys\n' >"$root/freshet"
    chmod +x "$root/freshet"
    printf 'key unit least greatest default meaning\none text - - - x\na.two ms 1ms 1d 5s x\n' >"$root/keys"
    printf "$table" >"$root/docs/configuration.md"
    printf '/* Numbers. */\n#pragma once\n\nint one(void);\n' >"$root/src/base/one.h"
    printf '#include "base/one.h"\n\nint one(void)\n{\n    return 1;\n}\n' >"$root/src/base/one.c"
    printf '%s\n' '#include "base/one.h"' '' '/* The text in quotes is not a comment. */' \
        'const char *two(void)' '{' '    return one() ? "/* it */" : "";' '}' >"$root/src/base/two.c"
    {
        printf '[{"directory": "%s", "file": "%s/src/base/one.c", "command": "clang -Isrc src/base/one.c"},\n' \
            "$root" "$root"
        printf '{"directory": "%s", "file": "%s/src/base/one_test.c", "command": "clang -Isrc src/base/one_test.c"}]\n' \
            "$root" "$root"
    } >"$root/compile_commands.json"
    printf '%s\n' '`e2e.one` ("a wheel turns"), `hostile.pongs`, `corpus.json`, `base.one`, `limits.one_max`' >"$root/SECURITY.md"
    mkdir -p "$root/tests/hostile" "$root/fuzz"
    printf 'test("a wheel turns", () => undefined);\n' >"$root/tests/e2e/one.test.mjs"
    printf 'export const attacks = {\n    pongs: {\n' >"$root/tests/hostile/attacks.mjs"
    touch "$root/fuzz/json.c" "$root/src/base/one_test.c"
    cp "$project/.clang-format" "$project/.clang-tidy" "$root"
}

# Puts object files where CMake would: circles.sh and names.sh read them.
compile() {
    (
        cd "$root/src"
        for file in */*.c; do
            folder=${file%%/*}
            mkdir -p "$folder/CMakeFiles/freshet_$folder.dir"
            "${CC:-gcc}" -I. -c "$file" -o "$folder/CMakeFiles/freshet_$folder.dir/${file#*/}.o"
        done
    )
}

run() {
    case $1 in circles|names) compile ;; esac
    "$project/tests/lint/$1.sh" "$root" "$root" >"$room/out" 2>&1
}

# refuses LINT WHAT FILE TEXT: with TEXT in FILE, LINT fails.
refuses() {
    plant
    run "$1" || { echo "$1 refuses a tree that is right:"; cat "$room/out"; failed=1; }
    printf '%b' "$4" >"$root/$3"
    ! run "$1" || { echo "$1 lets pass: $2"; failed=1; }
}

refuses layers "a lower layer that uses a higher one" src/base/two.c '#include "net/loop.h"\n'
refuses layers "a codec that uses net" src/http/two.c '#include "net/conn.h"\n'
refuses layers "a codec that opens sockets" src/http/two.c '#include <sys/socket.h>\n'
refuses layers "a hub that knows HTTP" src/hub/two.c '#include "http/head.h"\n'
refuses layers "publish that knows requests" src/publish/two.c \
    '#include "http/media.h"\n#include "http/head.h"\n'
refuses layers "a load generator that uses the commands" src/bench/two.c \
    '#include "client/lib/follow.h"\n#include "client/cli/printer.h"\n'
refuses layers "a library that uses the commands" src/client/lib/two.c \
    '#include "client/cli/printer.h"\n'
refuses layers "transport that uses api" src/transport/two.c '#include "api/route.h"\n'
refuses layers "a room that uses a higher one" src/webhooks/wire/two.c \
    '#include "webhooks/endpoint/lane.h"\n'
refuses layers "a room that uses a file beside the rooms" src/webhooks/wire/two.c \
    '#include "webhooks/courier.h"\n'
refuses layers "a room that is not in the table" src/webhooks/attic/two.c 'int two(void);\n'
refuses layers "an include without its layer" src/base/two.c '#include "one.h"\n'
refuses layers "an include that climbs" src/base/two.c '#include "base/../net/loop.h"\n'
refuses format "a tab" src/base/two.c 'int two(void);\nint two(void)\n{\n\treturn 2;\n}\n'
refuses headers "a header without a purpose" src/base/two.h '#pragma once\n\nint two(void);\n'
refuses headers "a header without a guard" src/base/two.h '/* Two. */\nint two(void);\n'
refuses headers "a header that needs another" src/base/two.h \
    '/* Two. */\n#pragma once\n\nsize_t two(void);\n'
refuses comments "a comment that opens with a pronoun" src/base/two.c '/* It is two. */\nint two(void);\n'
refuses comments "a relative in a comment of several lines" src/base/two.c \
    '/*\n * What is two. */\nint two(void);\n'
refuses comments "a pronoun behind a member" src/base/two.c \
    'struct two {\n    int one; /* its number */\n};\n'
refuses comments "a test named by a relative" src/base/two_test.c \
    'static void what_is_two_is_two(void **state)\n{\n    (void)state;\n}\n'
refuses comments "an end-to-end test named by a pronoun" tests/e2e/two.test.mjs \
    'test("it is two", () => {});\n'
refuses crlf "a handler that writes a header line" src/api/two.c \
    'const char *two(void)\n{\n    return "Link: <x>\\r\\n";\n}\n'
refuses json "a name in a format" src/base/two.c 'const char *two = "\\"id\\":%u";\n'
refuses json "a member behind a comma" src/base/two.c 'const char *two = ",\\"id\\": 1";\n'
refuses json "a list of strings" src/base/two.c 'const char *two = "[\\"id\\"]";\n'
export UNTIED_LATER=
refuses circles "two files that call each other" src/base/one.c \
    'const char *two(void);\n\nint one(void)\n{\n    return *two();\n}\n'
refuses names "a function of two layers" src/net/two.c 'int one(void)\n{\n    return 2;\n}\n'
export UNTIED_LATER=net
refuses circles "a folder that is untied and still listed" src/net/two.c \
    'int two(void)\n{\n    return 2;\n}\n'
refuses words "the path of a machine" src/base/two.c '/* see /wo''rk/notes */\n'
refuses words "the number of a ticket" src/base/two.c '/* iss''ue 12 */\n'
refuses docs "a link to nowhere" docs/api.md '| 400 | `bad-one` |\n[two](two.md)\n'
refuses docs "a link to a heading that is not there" docs/api.md \
    '| 400 | `bad-one` |\n[two](configuration.md#two)\n'
refuses docs "a document that nothing leads to" docs/other.md 'two\n'
refuses docs "an error that is not told" src/base/problem.h \
    '    X(BAD_TWO, 400, "bad-two", "Two")\n'
refuses docs "an error without a page" src/api/problem_words.c 'const int problem_words[] = {0};\n'
refuses docs "a key that a page of an error has made up" src/api/problem_words.c \
    'enum { PROBLEM_BAD_ONE };\n\nconst char *problem_words[] = {[PROBLEM_BAD_ONE] = "limits.two_max"};\n'
refuses docs "a key of the configuration that is not told" keys \
    'key\none text - - - x\na.two ms 1ms 1d 5s x\na.three ms 1ms 1d 5s x\n'
refuses docs "a key that is told and does not exist" docs/configuration.md \
    "$table| \`a.four\` | x | ms | 1ms | 1d | 5s |\\n"
refuses docs "another greatest value" keys 'key\none text - - - x\na.two ms 1ms 2d 5s x\n'
refuses docs "another unit" keys 'key\none text - - - x\na.two s 1ms 1d 5s x\n'
refuses docs "another default" keys 'key\none text - - - x\na.two ms 1ms 1d 6s x\n'
security='`e2e.one`, `hostile.pongs`, `corpus.json`'
refuses security "a test that does not exist" SECURITY.md "$security, \`base.two\`\n"
refuses security "an attack that does not exist" SECURITY.md "$security, \`hostile.pings\`\n"
refuses security "a title that does not exist" SECURITY.md "$security, \`e2e.one\` (\"a wheel stands\")\n"
refuses security "a page without attacks" SECURITY.md '`e2e.one`, `corpus.json`\n'
refuses tidy "a semicolon that ends an if" src/base/one.c \
    '#include "base/one.h"\n\nint one(void)\n{\n    int a = 1;\n    if (a > 1);\n    return a;\n}\n'
refuses tidy "a function of more than 80 lines" src/base/one.c \
    '#include "base/one.h"\n\nint one(void)\n{\n    int a = 0;\n'"$(yes '    a++;' | head -n 80)"'\n    return a;\n}\n'
refuses tidy "a null pointer in a test" src/base/one_test.c \
    'int main(void)\n{\n    int *a = 0;\n    return *a;\n}\n'
exit $failed
