# One set of warnings for both compilers; each adds what only it knows.
add_library(freshet_flags INTERFACE)
target_include_directories(freshet_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(freshet_flags INTERFACE _GNU_SOURCE FRESHET_VERSION="${PROJECT_VERSION}")
target_compile_options(freshet_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-align -Wcast-qual
    -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(freshet_flags INTERFACE
        -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
else()
    target_compile_options(freshet_flags INTERFACE
        -Wcomma -Wunreachable-code -Wshorten-64-to-32 -Wassign-enum -Wconditional-uninitialized)
endif()
if(FRESHET_WERROR)
    target_compile_options(freshet_flags INTERFACE -Werror)
endif()
if(FRESHET_SANITIZE)
    target_compile_options(freshet_flags INTERFACE
        -fsanitize=${FRESHET_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(freshet_flags INTERFACE -fsanitize=${FRESHET_SANITIZE})
endif()
if(FRESHET_FUZZ)
    target_compile_options(freshet_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
