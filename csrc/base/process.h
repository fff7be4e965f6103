// Which process this is: after a fork, the child has the memory of its parent's threads and not the
// threads.
#ifndef PYVOC_BASE_PROCESS_H_
#define PYVOC_BASE_PROCESS_H_

#include <cstdint>
#include <thread>

#include "base/realtime.h"

namespace pyvoc {

// The forks that lie between this process and the one that loaded the library: what was made where
// it differs was made by an ancestor.
std::uint32_t process_generation() PYVOC_RT;

// Waits for a thread that was started in `generation`; an ancestor's is dropped, as neither can it
// be waited for nor may its handle be destroyed.
void join_or_drop(std::thread& thread, std::uint32_t generation);

}  // namespace pyvoc
#endif  // PYVOC_BASE_PROCESS_H_
