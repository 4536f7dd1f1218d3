# freshet_layer(NAME USES layer... LIBS target... MODULES module...)
#
# Declares the layer in this folder: each module is a trio x.h, x.c, x_test.c; where the test
# exists it becomes one program and one CTest, named NAME.module. A module may be a header and a
# test alone, or a test alone. Extra sources without a test go into SOURCES.
function(freshet_layer name)
    cmake_parse_arguments(L "" "" "USES;LIBS;MODULES;SOURCES" ${ARGN})
    set(sources ${L_SOURCES})
    foreach(module ${L_MODULES})
        if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${module}.c)
        list(APPEND sources ${module}.c)
        endif()
    endforeach()
    add_library(freshet_${name} STATIC ${sources})
    target_link_libraries(freshet_${name} PUBLIC freshet_flags ${L_LIBS})
    foreach(use ${L_USES})
        target_link_libraries(freshet_${name} PUBLIC freshet_${use})
    endforeach()
    foreach(module ${L_MODULES})
        if(BUILD_TESTING AND NOT FRESHET_FUZZ AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${module}_test.c)
            freshet_unit_test(${name} ${module})
        endif()
    endforeach()
endfunction()

function(freshet_unit_test name module)
    string(REPLACE "/" "_" flat ${module})
    set(target test_${name}_${flat})
    add_executable(${target} ${module}_test.c)
    target_link_libraries(${target} PRIVATE freshet_${name} PkgConfig::CMOCKA)
    add_test(NAME ${FRESHET_TEST_PREFIX}${name}.${flat} COMMAND ${target})
    set_tests_properties(${FRESHET_TEST_PREFIX}${name}.${flat} PROPERTIES
        LABELS "${FRESHET_UNIT_LABELS}" TIMEOUT 300)
endfunction()

# The same test in two builds needs two names, so that CTest can show which one failed.
if(FRESHET_SANITIZE MATCHES "address")
    set(FRESHET_TEST_PREFIX "asan.")
elseif(FRESHET_SANITIZE MATCHES "thread")
    set(FRESHET_TEST_PREFIX "tsan.")
else()
    set(FRESHET_TEST_PREFIX "")
endif()

# `make test` runs all but the label check; `make check` runs that.
if(FRESHET_TEST_PREFIX)
    set(FRESHET_UNIT_LABELS "unit;check")
    set(FRESHET_CORPUS_LABELS "corpus;check")
else()
    set(FRESHET_UNIT_LABELS unit)
    set(FRESHET_CORPUS_LABELS corpus)
endif()
