# What this family wants of the rest (cmake/parts.cmake).
set(NEEDS_KERNELS dense dense_many gru gate mix)
set(NEEDS_FEATURES cepstral)
