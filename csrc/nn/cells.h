// int8 weights as cells (kernels/views.h), from panels as every other kernel reads them.
#ifndef PYVOC_NN_CELLS_H_
#define PYVOC_NN_CELLS_H_

#include <cstdint>
#include <vector>

#include "base/arena.h"
#include "kernels/views.h"

namespace pyvoc::nn {

// `w` has panels of `w.cols` columns; `chunks` are multiples of 4 that add up to these. Nothing of
// `w` is kept. Throws std::bad_alloc.
kernels::Cells pack_cells(const kernels::Dense<std::int8_t>& w, const std::vector<int>& chunks,
                          Arena& arena);

}  // namespace pyvoc::nn
#endif  // PYVOC_NN_CELLS_H_
