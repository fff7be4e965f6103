// What this build has of what an embedder may leave out: 1 unless the build says 0
// (cmake/parts.cmake). The groups of kernels have their own switches (kernels/table.h).
#ifndef PYVOC_BASE_PARTS_H_
#define PYVOC_BASE_PARTS_H_

#ifndef PYVOC_HAS_THREADS  // helpers of a stream; the live engine
#define PYVOC_HAS_THREADS 1
#endif
#ifndef PYVOC_HAS_LIVE  // live sound; the engine wants threads too
#define PYVOC_HAS_LIVE 1
#endif
#ifndef PYVOC_HAS_FOLDS
#define PYVOC_HAS_FOLDS 1
#endif
#ifndef PYVOC_HAS_DENOISER
#define PYVOC_HAS_DENOISER 1
#endif
#ifndef PYVOC_HAS_CEPSTRAL  // the extractor of cepstra and pitch
#define PYVOC_HAS_CEPSTRAL 1
#endif
#ifndef PYVOC_HAS_MEL  // the extractor of mel frames
#define PYVOC_HAS_MEL 1
#endif

// Of the compiler's flags: whether something can be thrown.
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define PYVOC_HAS_EXCEPTIONS 1
#else
#define PYVOC_HAS_EXCEPTIONS 0
#endif

#endif  // PYVOC_BASE_PARTS_H_
