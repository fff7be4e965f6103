// Marks a function of the synthesis path: it does not allocate, lock, log, throw or block.
// Compilers that know the attribute (clang 20) check it; a malloc-counting test checks it
// everywhere.
#ifndef PYVOC_BASE_REALTIME_H_
#define PYVOC_BASE_REALTIME_H_

#if defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::nonblocking)
#define PYVOC_RT noexcept [[clang::nonblocking]]
#endif
#endif
#ifndef PYVOC_RT
#define PYVOC_RT noexcept
#endif

#endif  // PYVOC_BASE_REALTIME_H_
