# What this family wants of the rest (cmake/parts.cmake).
set(NEEDS_KERNELS conv gated_conv)
set(NEEDS_FEATURES mel)
