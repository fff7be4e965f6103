# What this family wants of the rest (cmake/parts.cmake).
set(NEEDS_KERNELS dense sparse gru gru_rows tree signal)
set(NEEDS_FEATURES cepstral)
