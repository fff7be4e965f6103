# 64-bit ARM: Debian's g++-aarch64-linux-gnu.
set(TRIPLE aarch64-linux-gnu)
set(EMULATOR qemu-aarch64)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
