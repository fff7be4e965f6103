# One object library per kernel tier: kernels/tiers/<tier>.cc compiled with that tier's flags only.
# A tier that the compiler or the target processor does not know is left out.
include(CheckCXXCompilerFlag)

set(PYVOC_TIER_OPTIMIZE -O3 CACHE STRING "Optimisation of the kernels; packaging tests want less")
if(PYVOC_SANITIZE)
  # Instrumented -O3 takes minutes to compile and proves no more. What these checks would add to the
  # address sanitizer's doubles the time again: every vector is reached through a reference.
  set(PYVOC_TIER_OPTIMIZE -O1 -fno-sanitize=null,alignment,object-size)
endif()
set(PYVOC_TIERS "" CACHE STRING
  "Kernel tiers to build besides scalar, e.g. avx2,neon; empty: all that the compiler knows")
string(REPLACE "," ";" PYVOC_WANTED_TIERS "${PYVOC_TIERS}")
option(PYVOC_SCALAR "Build the scalar tier, which runs on every processor; without it one that has none of the other tiers is refused" ON)
set(PYVOC_TIER_OBJECTS "")
set(PYVOC_TIERS_BUILT "")

function(pyvoc_add_tier name)
  string(TOUPPER ${name} upper)
  add_library(pyvoc_tier_${name} OBJECT ${PROJECT_SOURCE_DIR}/csrc/kernels/tiers/${name}.cc)
  target_include_directories(pyvoc_tier_${name} PRIVATE ${PROJECT_SOURCE_DIR}/csrc)
  target_compile_definitions(pyvoc_tier_${name} PRIVATE PYVOC_TIER_${upper}=1 ${PYVOC_PARTS})
  if(NOT MSVC)
    target_compile_options(pyvoc_tier_${name} PRIVATE
      ${PYVOC_TIER_OPTIMIZE} -ffp-contract=off -fno-exceptions -fno-rtti -fno-lto
      ${PYVOC_SECTIONS}
      "$<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized;-Wno-maybe-uninitialized>"  # GCC 12's own AVX-512 headers
      ${ARGN})
  else()
    target_compile_options(pyvoc_tier_${name} PRIVATE ${ARGN})
  endif()
  set(PYVOC_TIER_OBJECTS ${PYVOC_TIER_OBJECTS} $<TARGET_OBJECTS:pyvoc_tier_${name}> PARENT_SCOPE)
  set(PYVOC_TIERS_BUILT ${PYVOC_TIERS_BUILT} ${name} PARENT_SCOPE)
  target_compile_definitions(pyvoc_objects PRIVATE PYVOC_HAVE_${upper}=1)
endfunction()

function(pyvoc_add_tier_if name)
  if(PYVOC_WANTED_TIERS AND NOT name IN_LIST PYVOC_WANTED_TIERS)
    return()
  endif()
  string(MAKE_C_IDENTIFIER "PYVOC_CXX_${name}" var)
  string(REPLACE ";" " " flags "${ARGN}")
  set(CMAKE_REQUIRED_FLAGS "${flags}")
  check_cxx_source_compiles("int main() { return 0; }" ${var})
  if(${var})
    pyvoc_add_tier(${name} ${ARGN})
    set(PYVOC_TIER_OBJECTS ${PYVOC_TIER_OBJECTS} PARENT_SCOPE)
    set(PYVOC_TIERS_BUILT ${PYVOC_TIERS_BUILT} PARENT_SCOPE)
  endif()
endfunction()

include(CheckCXXSourceCompiles)
if(PYVOC_SCALAR)
  pyvoc_add_tier(scalar)
endif()
if(EMSCRIPTEN)
  pyvoc_add_tier_if(wasm128 -msimd128 -O2)  # -O3 is 16 kB larger and as fast
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set(avx2 -mavx2 -mfma -mf16c -mno-avx512f)
  set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512)
  if(MSVC)
    pyvoc_add_tier_if(avx2 /arch:AVX2)
    pyvoc_add_tier_if(avx512 /arch:AVX512)
    pyvoc_add_tier_if(avx512vnni /arch:AVX512)
  else()
    pyvoc_add_tier_if(avx2 ${avx2})
    pyvoc_add_tier_if(avxvnni ${avx2} -mavxvnni)
    pyvoc_add_tier_if(avx512 ${avx512})
    pyvoc_add_tier_if(avx512vnni ${avx512} -mavx512vnni)
    pyvoc_add_tier_if(avx512bf16 ${avx512} -mavx512bf16)
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm)" AND CMAKE_SIZEOF_VOID_P EQUAL 4)
  # The processor may be called aarch64: 32-bit systems run on 64-bit kernels.
  pyvoc_add_tier_if(neon -march=armv7-a -mfpu=neon-vfpv4)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
  pyvoc_add_tier_if(neon -march=armv8-a)
  pyvoc_add_tier_if(neon_dotprod -march=armv8.2-a+dotprod)
  pyvoc_add_tier_if(neon_i8mm -march=armv8.2-a+dotprod+i8mm)
  pyvoc_add_tier_if(neon_bf16 -march=armv8.2-a+bf16)
endif()

# A toolchain file that forgets CMAKE_SYSTEM_PROCESSOR ends here, and so does a processor that no
# tier is written for.
if(PYVOC_TIERS_BUILT STREQUAL scalar AND NOT PYVOC_WANTED_TIERS STREQUAL scalar)
  message(WARNING "pyvoc is built with the scalar kernels alone, which are 4 to 15 times slower than "
    "a processor's vector units: no tier matches CMAKE_SYSTEM_PROCESSOR, which is "
    "\"${CMAKE_SYSTEM_PROCESSOR}\" (known: x86_64, AMD64, aarch64, arm64, arm*). -DPYVOC_TIERS=scalar if "
    "that is meant.")
endif()
set(whole ${PYVOC_TIERS_BUILT})
list(REMOVE_ITEM whole avxvnni avx512vnni avx512bf16 neon_dotprod neon_i8mm neon_bf16)  # some products only
if(NOT whole)
  message(FATAL_ERROR "pyvoc has no kernels: PYVOC_SCALAR is off and PYVOC_TIERS names no whole tier")
endif()
