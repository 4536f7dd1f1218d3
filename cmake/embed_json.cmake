# cmake -DOUT=described_data.c -DFOLDER=src/api/describe -DNAMES=schemas,… -P embed_json.cmake: writes a C file that holds FOLDER/NAME.json
# as the struct str describe_NAME. A file that is no JSON ends the build.
string(REPLACE "," ";" names "${NAMES}")
set(text "")
foreach(name ${names})
    file(READ "${FOLDER}/${name}.json" content)
    string(JSON kind ERROR_VARIABLE fault TYPE "${content}")
    if(fault OR NOT kind STREQUAL "OBJECT")
        message(FATAL_ERROR "${FOLDER}/${name}.json is no JSON object: ${fault}")
    endif()
    file(READ "${FOLDER}/${name}.json" hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR size "${digits} / 2")
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
    string(APPEND text "static const unsigned char ${name}[] = {${bytes}};\n"
        "extern const struct str describe_${name};\nconst struct str describe_${name} = {(const char *)${name}, ${size}};\n")
endforeach()
file(WRITE "${OUT}" "/* Made by cmake/embed_json.cmake; do not edit. */\n#include \"base/str.h\"\n\n${text}")
