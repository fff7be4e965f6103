# oneDNN's headers. The library is not linked: backends/onednn loads it when a program runs.
if(WIN32)
  message(FATAL_ERROR "PYVOC_ONEDNN: the library is loaded with dlopen, which Windows lacks")
endif()
set(PYVOC_ONEDNN_ROOT "" CACHE PATH "Where oneDNN's include/ is, e.g. a virtual environment with onednn-devel-cpu-gomp")
find_path(PYVOC_ONEDNN_INCLUDE oneapi/dnnl/dnnl.h HINTS ${PYVOC_ONEDNN_ROOT}/include)
if(NOT PYVOC_ONEDNN_INCLUDE)
  message(FATAL_ERROR "PYVOC_ONEDNN needs oneapi/dnnl/dnnl.h of oneDNN >= 3: "
    "`pip install onednn-devel-cpu-gomp`, then -DPYVOC_ONEDNN_ROOT=<that environment>")
endif()
file(STRINGS ${PYVOC_ONEDNN_INCLUDE}/oneapi/dnnl/dnnl_version.h PYVOC_ONEDNN_MAJOR
  REGEX "^#define DNNL_VERSION_MAJOR +[0-9]+")
if(NOT PYVOC_ONEDNN_MAJOR MATCHES " 3$")
  message(FATAL_ERROR "PYVOC_ONEDNN: ${PYVOC_ONEDNN_INCLUDE} is of another oneDNN than version 3: ${PYVOC_ONEDNN_MAJOR}")
endif()
target_compile_definitions(pyvoc_objects PRIVATE PYVOC_ONEDNN)
target_include_directories(pyvoc_objects SYSTEM PRIVATE ${PYVOC_ONEDNN_INCLUDE})
set(PYVOC_LOADER ${CMAKE_DL_LIBS})
