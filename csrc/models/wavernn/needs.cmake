# What this family wants of the rest (cmake/parts.cmake).
set(NEEDS_KERNELS dense dense_many sparse gru sampling mix signal)
set(NEEDS_FEATURES mel)
