# A room is one library with one public purpose: src/FLOOR/ROOM, target pgstrata_ROOM.
#   pgs_room(FLOOR/ROOM ROOMS base io LIBRARIES fmt::fmt)
# ROOMS are the rooms it uses (only rooms above it: tests/architecture checks the includes), LIBRARIES third parties.
function(pgs_room path)
  cmake_parse_arguments(ROOM "" "" "ROOMS;LIBRARIES" ${ARGN})
  get_filename_component(name ${path} NAME)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${path}/*.cc)
  add_library(pgstrata_${name} STATIC ${sources})
  target_include_directories(pgstrata_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ROOM_ROOMS PREPEND pgstrata_)
  target_link_libraries(pgstrata_${name} PUBLIC ${ROOM_ROOMS} PRIVATE ${ROOM_LIBRARIES})
endfunction()

# pgs_test(ROOM ...): tests/ROOM/*_test.cc as one program test_ROOM, every case known to ctest.
#   SUPPORT: extra libraries; TIMEOUT seconds a case; SERIAL: never beside another test (real servers and mounts)
function(pgs_test name)
  cmake_parse_arguments(TEST "SERIAL" "TIMEOUT" "ROOMS;LIBRARIES;LABELS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${name}/*.cc ${CMAKE_SOURCE_DIR}/tests/${name}/*.h)
  add_executable(test_${name} ${sources})
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/src)
  target_compile_definitions(test_${name} PRIVATE PGSTRATA_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    PGSTRATA_SERVERS_DIR="${PGSTRATA_SERVERS}")
  list(TRANSFORM TEST_ROOMS PREPEND pgstrata_)
  target_link_libraries(test_${name} PRIVATE ${TEST_ROOMS} ${TEST_LIBRARIES} GTest::gmock_main)
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 60)
  endif()
  set(properties TIMEOUT ${TEST_TIMEOUT} LABELS "${name};${TEST_LABELS}")
  if(TEST_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  gtest_discover_tests(test_${name} DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()

# pgs_fuzz(NAME ROOMS pgdata): tests/fuzz/NAME_fuzz.cc as the libFuzzer program NAME_fuzz (preset fuzz). Its corpus, kept
# in tests/data/fuzz/NAME_fuzz, holds every input that ever broke it.
function(pgs_fuzz name)
  cmake_parse_arguments(FUZZ "" "" "ROOMS;LIBRARIES" ${ARGN})
  add_executable(${name}_fuzz ${CMAKE_SOURCE_DIR}/tests/fuzz/${name}_fuzz.cc)
  target_include_directories(${name}_fuzz PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM FUZZ_ROOMS PREPEND pgstrata_)
  target_link_libraries(${name}_fuzz PRIVATE ${FUZZ_ROOMS} ${FUZZ_LIBRARIES})
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_programs ${name}_fuzz)
endfunction()

# pgs_fuzz_tests(): every built fuzz target as a test that replays its corpus and then searches for a few seconds.
function(pgs_fuzz_tests)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/*_fuzz.cc)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    set(found ${CMAKE_BINARY_DIR}/fuzz/${name})
    file(MAKE_DIRECTORY ${found})
    set(corpus ${CMAKE_SOURCE_DIR}/tests/data/fuzz/${name})
    if(NOT EXISTS ${corpus})
      set(corpus "")
    endif()
    add_test(NAME fuzz.${name}
      COMMAND ${PGSTRATA_FUZZ_PROGRAMS}/${name} -max_total_time=${PGSTRATA_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=1024
              -verbosity=0 -artifact_prefix=${CMAKE_BINARY_DIR}/fuzz/crash-${name}- ${found} ${corpus})
    math(EXPR limit "${PGSTRATA_FUZZ_SECONDS} + 120")
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT ${limit} LABELS fuzz)
  endforeach()
endfunction()
