# How a room is built: rc_library(<room> DEPS <lower rooms> LIBS <system libraries>) takes every *.c of the
# folder but *_test.c; each *_test.c becomes one ctest named <room>.<file>. Rooms are linked in the order that
# their DEPS name, and the DEPS are the only rooms whose headers it may include (checked by ./dev lint).

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)

add_library(rc_flags INTERFACE)
target_include_directories(rc_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(rc_flags INTERFACE _GNU_SOURCE RC_VERSION="${PROJECT_VERSION}")
target_compile_options(rc_flags INTERFACE
  -Wall -Wextra -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wpointer-arith
  -Wformat=2 -Wvla -Wimplicit-fallthrough -Wno-unused-parameter -Werror
  -fno-strict-aliasing -fno-common -fstack-protector-strong)
target_link_libraries(rc_flags INTERFACE Threads::Threads)
if(RC_SANITIZE)
  target_compile_options(rc_flags INTERFACE -fsanitize=${RC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(rc_flags INTERFACE -fsanitize=${RC_SANITIZE})
endif()
if(RC_FUZZ)
  target_compile_options(rc_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(rc_library room)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.c$")
  list(FILTER tests INCLUDE REGEX "_test\\.c$")
  if(NOT sources)
    return() # a room that has only headers yet
  endif()
  add_library(rc_${room} STATIC ${sources})
  list(TRANSFORM ARG_DEPS PREPEND rc_)
  target_link_libraries(rc_${room} PUBLIC rc_flags ${ARG_DEPS} ${ARG_LIBS})
  if(RC_TESTS)
    foreach(test ${tests})
      rc_test(${room} ${test})
    endforeach()
  endif()
endfunction()

# For a room that each message goes through: there calls cost more than the code that they save. Only in what is
# installed.
function(rc_inline_more room)
  if(CMAKE_INTERPROCEDURAL_OPTIMIZATION)
    target_compile_options(rc_${room} PRIVATE -O3)
  endif()
endfunction()

function(rc_test room source)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${room}_${name} ${source})
  target_link_libraries(${room}_${name} PRIVATE rc_${room} PkgConfig::CMOCKA)
  add_test(NAME ${room}.${name} COMMAND ${room}_${name})
  set_tests_properties(${room}.${name} PROPERTIES TIMEOUT 180)
endfunction()
