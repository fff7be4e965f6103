# What this family wants of the rest (cmake/parts.cmake).
set(NEEDS_KERNELS dense conv winograd)
set(NEEDS_FEATURES mel)
