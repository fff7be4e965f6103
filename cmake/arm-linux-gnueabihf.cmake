# 32-bit ARM (armhf): Debian's g++-arm-linux-gnueabihf.
set(TRIPLE arm-linux-gnueabihf)
set(EMULATOR qemu-arm)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
