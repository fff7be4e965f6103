# `cmake --install`: headers, both libraries, find_package(pyvoc) and pkg-config. Not in the wheel.
if(SKBUILD)
  return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS pyvoc_static pyvoc_shared EXPORT pyvocTargets COMPONENT devel
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY csrc/include/pyvoc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT devel)
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
