# `cmake --install`: headers, both libraries, find_package(pyvoc), pkg-config, the licence, the C
# examples and two voices with features for one. Not in the wheel.
if(SKBUILD OR NOT PYVOC_INSTALL)
  return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS ${PYVOC_LIBRARIES} EXPORT pyvocTargets COMPONENT devel
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY csrc/include/pyvoc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT devel)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/pyvoc COMPONENT devel)
install(DIRECTORY examples/c/ DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/pyvoc/examples
  COMPONENT devel)
foreach(file default.gguf default.md lpcnet.gguf lpcnet.md demo.f32 demo.md mit.txt)
  install(FILES pyvoc/voices/${file} DESTINATION ${CMAKE_INSTALL_DATADIR}/pyvoc/voices
    COMPONENT devel)
endforeach()
install(EXPORT pyvocTargets NAMESPACE pyvoc:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pyvoc
  COMPONENT devel)
configure_package_config_file(cmake/pyvocConfig.cmake.in ${PROJECT_BINARY_DIR}/pyvocConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pyvoc)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pyvocConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/pyvocConfig.cmake ${PROJECT_BINARY_DIR}/pyvocConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pyvoc COMPONENT devel)
# Paths relative to the .pc file, so that the tree may be installed with --prefix or moved.
file(RELATIVE_PATH PYVOC_PC_TO_PREFIX
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" PYVOC_PC_TO_PREFIX "${PYVOC_PC_TO_PREFIX}")
set(PYVOC_PC_RUNTIME "")
foreach(lib ${PYVOC_RUNTIME_LIBRARIES})
  string(REGEX REPLACE "^-l" "" lib ${lib})
  string(APPEND PYVOC_PC_RUNTIME " -l${lib}")
endforeach()
string(STRIP "${PYVOC_PC_RUNTIME}" PYVOC_PC_RUNTIME)
configure_file(cmake/pyvoc.pc.in ${PROJECT_BINARY_DIR}/pyvoc.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pyvoc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT devel)
if(TARGET dump_data)
  install(TARGETS dump_data RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
endif()
