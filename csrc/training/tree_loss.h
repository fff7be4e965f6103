// The mean negative log-likelihood of symbols under LPCNet's tree of dual fully-connected nodes,
// with its gradients, on several threads. Only the eight nodes on a symbol's path are evaluated.
#ifndef PYVOC_TRAINING_TREE_LOSS_H_
#define PYVOC_TRAINING_TREE_LOSS_H_

#include "kernels/table.h"

namespace pyvoc::training {

// Fills nll and, where d_x is given, the gradients (of the parameters from zero). Results do not
// depend on `threads`.
void tree_loss(const kernels::TreeNll& problem, int threads, const kernels::KernelTable& table);

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_TREE_LOSS_H_
