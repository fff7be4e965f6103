// The interpreter's lock, let go around native work. When the interpreter leaves while a daemon
// thread is in such work, Python (before 3.14) ends the thread where it asks for the lock again, by
// unwinding its stack; destructors must not be unwound through, so that std::terminate would end
// the process. Such a thread is held instead, as Python 3.14 does: it keeps what it has, and is
// gone with the process.
#ifndef PYVOC_PYTHON_GIL_H_
#define PYVOC_PYTHON_GIL_H_

#include <pybind11/pybind11.h>

#include <chrono>
#include <optional>
#include <thread>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace pyvoc::python {

// Calls what asks for the lock; does not return where the interpreter is gone.
template <typename Ask>
void or_stay(const Ask& ask) {
#ifdef __GLIBCXX__
  try {
    ask();
  } catch (const abi::__forced_unwind&) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
#else
  ask();
#endif
}

// The lock is not held in this scope.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  ~Unlocked() {
    or_stay([this] { PyEval_RestoreThread(state_); });
  }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  PyThreadState* state_;
};

// Within such a scope, the lock is held again.
class Locked {
 public:
  Locked() {
    or_stay([this] { lock_.emplace(); });
  }

 private:
  std::optional<pybind11::gil_scoped_acquire> lock_;
};

}  // namespace pyvoc::python
#endif  // PYVOC_PYTHON_GIL_H_
