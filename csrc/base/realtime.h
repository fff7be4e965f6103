// Marks a function of the synthesis path: it does not allocate, lock, log, throw or block.
// Compilers that know the attribute check it (clang 19 as a part of a function's type, clang 20 and
// later in every call: -Wfunction-effects); a malloc-counting test checks it everywhere.
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

// A statement or expression that keeps the promise although a compiler cannot see it; say why.
#if defined(__clang__) && defined(__clang_major__)
#define PYVOC_RT_TRUST(...)                                            \
  _Pragma("clang diagnostic push")                                     \
      _Pragma("clang diagnostic ignored \"-Wunknown-warning-option\"") \
          _Pragma("clang diagnostic ignored \"-Wfunction-effects\"")   \
              __VA_ARGS__ _Pragma("clang diagnostic pop")
#else
#define PYVOC_RT_TRUST(...) __VA_ARGS__
#endif

#endif  // PYVOC_BASE_REALTIME_H_
