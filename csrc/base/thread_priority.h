// Asks the operating system to run the calling thread before ordinary ones.
#ifndef PYVOC_BASE_THREAD_PRIORITY_H_
#define PYVOC_BASE_THREAD_PRIORITY_H_

namespace pyvoc {

// Real-time scheduling for the calling thread, below what sound servers ask for themselves. False
// where that is not permitted: the thread goes on as it was.
bool raise_priority() noexcept;
// Whether raise_priority() would be permitted to a thread of this process.
bool may_raise_priority() noexcept;

// Processor time that the calling thread has used, in seconds; 0 where that is not known.
double thread_cpu_seconds() noexcept;

}  // namespace pyvoc
#endif  // PYVOC_BASE_THREAD_PRIORITY_H_
