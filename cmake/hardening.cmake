# What makes faults of memory harder to use, in optimised builds without sanitizers, which see more and
# would be in its way. e2e.process looks for each of these in the program;
# docs/decisions/0016-hardening-flags.md has what they cost.
include(CheckCCompilerFlag)

if(NOT FRESHET_SANITIZE AND CMAKE_BUILD_TYPE MATCHES "^(RelWithDebInfo|Release|MinSizeRel)$")
    # Debian's compilers may define it already, and with another value that would be an error.
    target_compile_options(freshet_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
    # A program's code may lie anywhere, but no other program takes its functions' places: so not -fPIC,
    # which would keep the compiler from inlining them.
    target_compile_options(freshet_flags INTERFACE $<$<NOT:$<STREQUAL:$<TARGET_PROPERTY:TYPE>,MODULE_LIBRARY>>:-fPIE>)
    # A processor may lack the means for one; then the compiler says so.
    foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -mbranch-protection=standard)
        string(MAKE_C_IDENTIFIER "FRESHET_HAS${flag}" has)
        check_c_compiler_flag("-Werror ${flag}" ${has})
        if(${has})
            target_compile_options(freshet_flags INTERFACE ${flag})
        endif()
    endforeach()
endif()
